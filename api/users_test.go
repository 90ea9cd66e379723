package api

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
	"pgregory.net/rapid"
)

// What a users file has of "secret".
const (
	secretHash = "$2y$04$jdHXORWE7v4aGHACFLalxuh8StEOrMmR5HG8zaJjgYLCY7VUwHraC"
	tokenLine  = "$sha256$2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
)

func TestParseUsers(t *testing.T) {
	end := time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		line string
		want User
		// says is part of why the line is refused; empty if it is not.
		says string
	}{
		"htpasswd":         {"alice:" + secretHash, User{Name: "alice", Secret: secretHash}, ""},
		"OpenBSD":          {"alice:$2b" + secretHash[3:], User{Name: "alice", Secret: "$2b" + secretHash[3:]}, ""},
		"role":             {"alice:" + secretHash + ":admin", User{Name: "alice", Secret: secretHash, Role: "admin"}, ""},
		"nobody":           {"alice:" + secretHash + ":nobody", User{Name: "alice", Secret: secretHash, Role: "nobody"}, ""},
		"windows":          {"alice:" + secretHash + ":admin\r\n", User{Name: "alice", Secret: secretHash, Role: "admin"}, ""},
		"trailing space":   {"alice:" + secretHash + ":admin \t", User{Name: "alice", Secret: secretHash, Role: "admin"}, ""},
		"date":             {"a:" + secretHash + ":viewer:2027-06-30", User{"a", secretHash, "viewer", end}, ""},
		"no role, date":    {"a:" + secretHash + "::2027-06-30", User{"a", secretHash, "", end}, ""},
		"time":             {"a:" + secretHash + ":viewer:2027-07-01T02:00:00+02:00", User{"a", secretHash, "viewer", end}, ""},
		"fraction":         {"a:$x509::2027-06-30T23:59:59.5Z", User{"a", "$x509", "", end.Add(-time.Second / 2)}, ""},
		"token":            {"ci:" + tokenLine + ":autoscaler", User{Name: "ci", Secret: tokenLine, Role: "autoscaler"}, ""},
		"certificate":      {"CN=web,O=Example:$x509:operator", User{Name: "CN=web,O=Example", Secret: "$x509", Role: "operator"}, ""},
		"space inside":     {"Jöran Persson:$x509", User{Name: "Jöran Persson", Secret: "$x509"}, ""},
		"no secret":        {"alice", User{}, "must be name:secret"},
		"no name":          {":" + secretHash, User{}, "the name must have"},
		"long name":        {strings.Repeat("n", 256) + ":$x509", User{}, "the name must have"},
		"not UTF-8":        {"\xff:$x509", User{}, "UTF-8"},
		"control":          {"a\x00b:$x509", User{}, "control"},
		"space":            {" alice:$x509", User{}, "neither begin nor end"},
		"plain password":   {"alice:hunter2:admin", User{}, "must be a bcrypt hash"},
		"MD5":              {"alice:$apr1$y0Y7.2Vl$kG0bNXIFYDwzrFN8dGoUk.", User{}, "must be a bcrypt hash"},
		"SHA-1":            {"alice:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", User{}, "must be a bcrypt hash"},
		"broken bcrypt":    {"alice:$2x" + secretHash[3:], User{}, "must be a bcrypt hash"},
		"short bcrypt":     {"alice:" + secretHash[:59], User{}, "must be a bcrypt hash"},
		"too cheap":        {"alice:$2y$03" + secretHash[6:], User{}, "cost"},
		"too dear":         {"alice:$2y$16" + secretHash[6:], User{}, "cost"},
		"short token":      {"ci:" + tokenLine[:70], User{}, "64 hexadecimal digits"},
		"no hexadecimals":  {"ci:" + tokenLine[:71] + "g", User{}, "64 hexadecimal digits"},
		"other role":       {"alice:" + secretHash + ":root", User{}, "nobody, viewer, autoscaler, operator, admin"},
		"role in capitals": {"alice:" + secretHash + ":Admin", User{}, "the role must be one of"},
		"other date":       {"alice:" + secretHash + ":admin:30.6.2027", User{}, "the expiry must be"},
		"no such day":      {"alice:" + secretHash + ":admin:2027-02-30", User{}, "the expiry must be"},
		"year one":         {"alice:" + secretHash + ":admin:0001-01-01T00:00:00Z", User{}, "the expiry must be"},
		"year 9999":        {"alice:" + secretHash + ":admin:9999-12-31", User{}, "the expiry must be"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			users, err := ParseUsers([]byte("# comment\n\n" + test.line))
			if test.says == "" && (err != nil || !slices.Equal(users.List(), []User{test.want})) {
				t.Fatalf("%+v, %v", users.List(), err)
			}
			if test.says != "" && (err == nil || !strings.HasPrefix(err.Error(), "line 3: ") || !strings.Contains(err.Error(), test.says)) {
				t.Fatalf("%+v, %v", users.List(), err)
			}
			if test.says != "" && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "alice") || len(users.List()) > 0) {
				t.Errorf("quoted or taken: %v", err)
			}
		})
	}
}

// TestStandIns: who stands in for a name that does not exist is the same after a restart, and after a change that is not about him.
func TestStandIns(t *testing.T) {
	secretOf := func(i int) string { return fmt.Sprintf("%s%02d", secretHash[:58], i) }
	var users []User
	for i := range 20 {
		users = append(users, User{Name: fmt.Sprint("user", i), Secret: secretOf(i)})
	}
	all, again, fewer := newAccounts(users), newAccounts(users), newAccounts(users[1:])
	seen := make(map[string]bool)
	for i := range 500 {
		name := fmt.Sprint("stranger", i)
		one, known := all.withPassword(name)
		other, _ := again.withPassword(name)
		third, _ := fewer.withPassword(name)
		if known || one.name != other.name || one.name != "user0" && third.name != one.name {
			t.Fatalf("%s: %+v, %+v, %+v, %t", name, one, other, third, known)
		}
		seen[one.name] = true
	}
	if len(seen) < 10 {
		t.Errorf("only %d of 20 stand in", len(seen))
	}
	if one, known := newAccounts(nil).withPassword("stranger"); one != nil || known {
		t.Errorf("%+v", one)
	}
}

func TestOneBadLineCostsOneUser(t *testing.T) {
	text := "a:$x509\nb:wrong\nc:$x509\nc:$x509:admin\nd:" + tokenLine + "\ne:" + tokenLine + ":admin\n#f:$x509\nf:$x509\n"
	users, err := ParseUsers([]byte(text))
	var names []string
	for _, u := range users.List() {
		names = append(names, u.Name)
	}
	if !slices.Equal(names, []string{"a", "f"}) {
		t.Errorf("users %v", names)
	}
	var lines []string
	for _, err := range unjoined(err) {
		lines = append(lines, strings.Fields(err.Error())[1])
	}
	if !slices.Equal(lines, []string{"2:", "3:", "4:", "5:", "6:"}) {
		t.Errorf("refused %v", lines)
	}
	if !bytes.Equal(users.Text(), []byte(text)) {
		t.Errorf("refused lines were lost:\n%s", users.Text())
	}
}

func TestUsersAreEdited(t *testing.T) {
	users, err := ParseUsers([]byte("# ours\r\nalice:" + secretHash + ":admin\n\nbob:nonsense\n  # theirs\nbob:$x509\ncarol:" + tokenLine))
	if err == nil {
		t.Error("bob is taken")
	}
	if err := users.Put(User{Name: "bob", Secret: "$x509", Role: "operator"}); err != nil {
		t.Error(err)
	}
	if err := users.Put(User{Name: "dave", Secret: "$x509", Expires: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}); err != nil {
		t.Error(err)
	}
	for _, bad := range []User{
		{Name: "a:b", Secret: "$x509"},
		{Name: "#a", Secret: "$x509"},
		{Name: "", Secret: "$x509"},
		{Name: "a\nb", Secret: "$x509"},
		{Name: "a", Secret: "plain"},
		{Name: "a", Secret: "$x509", Role: "king"},
		{Name: "a", Secret: "$x509", Role: "admin:2027-01-01"},
	} {
		if err := users.Put(bad); err == nil {
			t.Errorf("%+v was put", bad)
		}
	}
	if users.Remove("nobody") || !users.Remove("alice") || !users.Remove("carol") {
		t.Error("wrong users removed")
	}
	want := "# ours\n\nbob:$x509:operator\n  # theirs\ndave:$x509::2027-01-01T00:00:00Z\n"
	if got := string(users.Text()); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if u, ok := users.Find("bob"); !ok || u.Role != "operator" {
		t.Errorf("found %+v, %t", u, ok)
	}
	if _, ok := users.Find("alice"); ok {
		t.Error("alice is still there")
	}
}

func TestNewSecrets(t *testing.T) {
	secret, err := HashPassword("pässword")
	if err != nil || checkSecret(secret) != nil || bcrypt.CompareHashAndPassword([]byte(secret), []byte("pässword")) != nil {
		t.Errorf("%s: %v", secret, err)
	}
	for name, bad := range map[string]string{"empty": "", "long": strings.Repeat("x", 73), "control": "a\tb", "not UTF-8": "\xff"} {
		if _, err := HashPassword(bad); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	token, secret := NewToken()
	other, _ := NewToken()
	if token == other || len(token) != len("vspherepool_")+43 || checkSecret(secret) != nil {
		t.Errorf("%s, %s", token, secret)
	}
	if a := newAccounts([]User{{Name: "ci", Secret: secret}}); a.withToken(token) == nil || a.withToken(other) != nil {
		t.Error("the token's user is not found, or another's is")
	}
}

// TestExpiry says that a time that was written is read back as the same moment.
func TestExpiry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		moment := time.Unix(rapid.Int64Range(0, 250_000_000_000).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds"))
		line := User{Name: "a", Secret: CertificateSecret, Expires: moment}.String()
		if read, err := parseUser(line); err != nil || !read.Expires.Equal(moment) {
			t.Fatalf("%s: %+v, %v", line, read, err)
		}
	})
}

// FuzzUsers says that no text is too much for the parser, that it gives back what it was given, and that each user it has taken can be
// written and read again.
func FuzzUsers(f *testing.F) {
	f.Add([]byte("alice:" + secretHash + ":admin:2027-06-30\r\n# c\nci:" + tokenLine + "::2027-06-30T18:00:00+02:00\n"))
	f.Add([]byte("\nweb,O=x:$x509\nweb,O=x:$x509"))
	f.Add([]byte("a:b:c:d:e:f\n:::\n\xff:\x00\n#"))
	f.Fuzz(func(t *testing.T, text []byte) {
		users, err := ParseUsers(text)
		for _, err := range unjoined(err) {
			if !strings.HasPrefix(err.Error(), "line ") {
				t.Errorf("error without a line: %v", err)
			}
		}
		again, _ := ParseUsers(users.Text())
		if !slices.EqualFunc(users.List(), again.List(), sameUser) {
			t.Errorf("%+v became %+v", users.List(), again.List())
		}
		for _, user := range users.List() {
			fresh := &Users{}
			if err := fresh.Put(user); err != nil {
				t.Fatal(err)
			}
			read, err := ParseUsers(fresh.Text())
			if err != nil || !slices.EqualFunc(read.List(), []User{user}, sameUser) {
				t.Errorf("%+v became %+v, %v", user, read.List(), err)
			}
		}
	})
}

func sameUser(a, b User) bool {
	return a.Name == b.Name && a.Secret == b.Secret && a.Role == b.Role && a.Expires.Equal(b.Expires)
}
