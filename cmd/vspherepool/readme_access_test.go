package main

import (
	"fmt"
	"strings"

	"vspherepool/api"
)

// rolesTable lists what each role may that the ones before it may not.
func rolesTable(operations []api.Operation) string {
	may := make(map[string][]string)
	for _, o := range operations {
		may[o.Role] = append(may[o.Role], "`"+strings.ReplaceAll(o.Method+" "+o.Path, "{id}", "ID")+"`")
	}
	var b strings.Builder
	b.WriteString("| role | what it may, beyond what the roles above it may |\n|---|---|\n")
	for _, role := range api.Roles() {
		text := strings.Join(may[role], ", ")
		if text == "" {
			text = "nothing"
		}
		fmt.Fprintf(&b, "| %s | %s |\n", role, text)
	}
	return b.String()
}
