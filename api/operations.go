package api

// Operation is one route, for the reference.
type Operation struct {
	// Method and Path are as in a request; {id} stands for a machine's id.
	Method, Path string
	// Role is the least that may, one of [Roles].
	Role string
}

// Operations lists what the server answers.
func Operations() []Operation {
	all := make([]Operation, len(routes))
	for i, route := range routes {
		all[i] = Operation{route.method, route.path, route.needs.String()}
	}
	return all
}
