package api

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// User is one who may use the server: one line of a users file.
type User struct {
	// Name is what a user logs in with. For a token it is a label; for a certificate it is the common name of the subject, or the whole
	// subject as RFC 2253 writes it.
	Name string
	// Secret is what proves the name: a bcrypt hash, a hash that [NewToken] has made, or [CertificateSecret].
	Secret string
	// Role is one of [Roles]; empty is a viewer.
	Role string
	// Expires is when the server stops knowing this user; zero is never.
	Expires time.Time
}

// Users is the text of a users file, which has a line for each user,
//
//	name:secret[:role[:expires]]
//
// and keeps its comments, which begin with #, and its blank lines. expires is a time as in RFC 3339, or a date, whose whole day in UTC
// counts. Apache's htpasswd -B can maintain such a file: it writes lines of a name and a secret, and copies those of other users as
// they are.
type Users struct{ lines []userLine }

type userLine struct {
	text string
	// user is nil for what is no user's line, or a refused one.
	user *User
}

// isFor says whether it is the user's line, be it a refused one.
func (l userLine) isFor(name string) bool {
	before, _, found := strings.Cut(l.text, ":")
	return found && before == name
}

// maxName is in bytes.
const maxName = 255

// lineError is about one line of a users file. It quotes nothing of it: what is in a wrong place may be a secret.
type lineError struct {
	line   int
	reason string
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.reason) }

// ParseUsers reads the text of a users file. The error joins one for each line that is refused, by its number; the users of all other
// lines are returned along with it.
func ParseUsers(text []byte) (*Users, error) {
	users := &Users{}
	var refused []error
	number := 0
	for line := range bytes.Lines(text) {
		number++
		line := strings.TrimRight(string(line), "\r\n")
		user, err := parseUser(line)
		if err != nil {
			refused = append(refused, &lineError{number, err.Error()})
		}
		users.lines = append(users.lines, userLine{line, user})
	}
	return users, errors.Join(append(refused, users.refuseTwins()...)...)
}

// refuseTwins refuses all lines that share a name or a token with another: which of them was meant is not for the server to guess.
func (u *Users) refuseTwins() (refused []error) {
	names, tokens := make(map[string]int), make(map[string]int)
	for _, l := range u.lines {
		if l.user != nil {
			names[l.user.Name]++
			tokens[l.user.Secret]++
		}
	}
	for i, l := range u.lines {
		switch {
		case l.user == nil:
		case names[l.user.Name] > 1:
			refused = append(refused, &lineError{i + 1, "another line has the same name; each name may stand there once"})
			u.lines[i].user = nil
		case tokens[l.user.Secret] > 1 && l.user.Kind() == TokenUser:
			refused = append(refused, &lineError{i + 1, "another line has the same token; give each user a token of its own"})
			u.lines[i].user = nil
		}
	}
	return refused
}

// parseUser returns nil for a line that is blank or a comment.
func parseUser(line string) (*User, error) {
	line = strings.TrimRight(line, " \t")
	if rest := strings.TrimLeft(line, " \t"); rest == "" || rest[0] == '#' {
		return nil, nil
	}
	fields := append(strings.SplitN(line, ":", 4), "", "")
	if len(fields) < 4 {
		return nil, errors.New("must be name:secret, name:secret:role or name:secret:role:expires")
	}
	user := &User{Name: fields[0], Secret: fields[1], Role: fields[2]}
	if err := errors.Join(checkName(user.Name), checkSecret(user.Secret), checkRole(user.Role)); err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	var err error
	user.Expires, err = ParseExpiry(fields[3])
	if err != nil {
		return nil, err
	}
	return user, nil
}

func checkName(name string) error {
	switch {
	case name == "" || len(name) > maxName || !utf8.ValidString(name):
		return fmt.Errorf("the name must have 1 to %d bytes of UTF-8", maxName)
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.Contains(name, ":"):
		return errors.New("the name must have no colon and no control characters")
	case strings.TrimSpace(name) != name || name[0] == '#':
		return errors.New("the name must not begin with # and neither begin nor end with a space")
	}
	return nil
}

func checkRole(name string) error {
	if _, ok := parseRole(name); !ok && name != "" {
		return fmt.Errorf("the role must be one of %s", strings.Join(Roles(), ", "))
	}
	return nil
}

// ParseExpiry reads a date, or a time as in RFC 3339; nothing is never. It returns the first moment that is too late.
func ParseExpiry(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t, err = time.Parse(time.DateOnly, text)
		t = t.AddDate(0, 0, 1)
	}
	// A zero time would be never, and years beyond 9999 cannot be written.
	if t = t.UTC(); err != nil || t.Year() < 1970 || t.Year() > 9998 {
		return time.Time{}, errors.New("the expiry must be a date such as 2027-06-30, or a time such as 2027-06-30T18:00:00Z")
	}
	return t, nil
}

// String is the user's line.
func (u User) String() string {
	fields := []string{u.Name, u.Secret, u.Role}
	if !u.Expires.IsZero() {
		fields = append(fields, u.Expires.UTC().Format(time.RFC3339Nano))
	}
	return strings.TrimRight(strings.Join(fields, ":"), ":")
}

// List returns the users in the order of the file.
func (u *Users) List() []User {
	var all []User
	for _, l := range u.lines {
		if l.user != nil {
			all = append(all, *l.user)
		}
	}
	return all
}

// refused are the names that stand in the lines that were refused, as far as they can be told.
func (u *Users) refused() []string {
	var names []string
	for _, l := range u.lines {
		name, _, _ := strings.Cut(l.text, ":")
		name = strings.TrimSpace(name)
		if l.user == nil && name != "" && name[0] != '#' {
			names = append(names, name)
		}
	}
	return names
}

// Put replaces the line of the user with the same name, or adds one. It fails when the user could not be read back.
func (u *Users) Put(user User) error {
	if err := errors.Join(checkName(user.Name), checkSecret(user.Secret), checkRole(user.Role)); err != nil {
		return fmt.Errorf("put user: %w", err)
	}
	line := user.String()
	read, err := parseUser(line)
	if err != nil {
		return fmt.Errorf("put user: %w", err)
	}
	i := slices.IndexFunc(u.lines, func(l userLine) bool { return l.isFor(user.Name) })
	if i < 0 {
		i = len(u.lines)
	}
	u.Remove(user.Name)
	u.lines = slices.Insert(u.lines, i, userLine{line, read})
	return nil
}

// Remove takes the user's line out, or all of them, also where they would be refused. It returns false if there is none.
func (u *Users) Remove(name string) bool {
	before := len(u.lines)
	u.lines = slices.DeleteFunc(u.lines, func(l userLine) bool { return l.isFor(name) })
	return len(u.lines) < before
}

// Find returns the user of that name.
func (u *Users) Find(name string) (User, bool) {
	for _, l := range u.lines {
		if l.user != nil && l.user.Name == name {
			return *l.user, true
		}
	}
	return User{}, false
}

// Text is the content of the file. Lines that were not put are as they were read.
func (u *Users) Text() []byte {
	var b bytes.Buffer
	for _, l := range u.lines {
		b.WriteString(l.text + "\n")
	}
	return b.Bytes()
}
