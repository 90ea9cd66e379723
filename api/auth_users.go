package api

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"
)

// account is a user as the server looks for it.
type account struct {
	name, secret string
	role         role
	expires      time.Time
}

func (a *account) inForce(now time.Time) bool { return a.expires.IsZero() || now.Before(a.expires) }

// accounts are the users of a file, by what they are looked for.
type accounts struct {
	passwords map[string]*account
	// standIns are the same ones, in place of those that do not exist, in the order of where their hashes are on a ring.
	standIns []*account
	tokens   map[[sha256.Size]byte]*account
	subjects map[string]*account
}

func newAccounts(users []User) *accounts {
	a := &accounts{
		passwords: make(map[string]*account), tokens: make(map[[sha256.Size]byte]*account), subjects: make(map[string]*account),
	}
	for _, user := range users {
		a.add(user)
	}
	slices.SortFunc(a.standIns, func(x, y *account) int { return cmp.Compare(onRing(x.secret), onRing(y.secret)) })
	return a
}

func (a *accounts) add(user User) {
	may, _ := parseRole(cmp.Or(user.Role, viewer.String()))
	one := &account{user.Name, user.Secret, may, user.Expires}
	switch user.Kind() {
	case CertificateUser:
		a.subjects[user.Name] = one
	case TokenUser:
		hash, _ := tokenHash(user.Secret)
		a.tokens[hash] = one
	default:
		a.passwords[user.Name] = one
		a.standIns = append(a.standIns, one)
	}
}

// lockOut is for a name in a line that was refused: the holder of its certificate must not pass for one that the file does not name, who
// may be an admin.
func (a *accounts) lockOut(name string) {
	if a.subjects[name] == nil {
		a.subjects[name] = &account{name: name, role: nobody}
	}
}

// withPassword finds who logs in with a password. For a name that does not exist, somebody else stands in, so that the time that an answer
// takes says nothing about the name: always the same one, also after a restart and after most changes of the file, whatever their hashes
// cost. It returns nil when nobody has a password.
func (a *accounts) withPassword(name string) (found *account, known bool) {
	if found, known = a.passwords[name]; known || len(a.standIns) == 0 {
		return found, known
	}
	i, _ := slices.BinarySearchFunc(a.standIns, onRing(name), func(one *account, at uint64) int { return cmp.Compare(onRing(one.secret), at) })
	return a.standIns[i%len(a.standIns)], false
}

// onRing is a place that nobody can tell for a secret that he does not have.
func onRing(text string) uint64 {
	sum := sha256.Sum256([]byte(text))
	return binary.BigEndian.Uint64(sum[:])
}

// withToken looks a token up by its hash. The time that takes may tell something about the hash, but nobody can choose a token by its hash.
func (a *accounts) withToken(token string) *account {
	return a.tokens[sha256.Sum256([]byte(token))]
}

// unsafeMode are the permissions by which others could write a users file or read its hashes. The group may read it, as that is how
// systemd and containers hand over secrets.
const unsafeMode os.FileMode = 0o026

// writableMode are those of them by which others can make themselves users.
const writableMode os.FileMode = 0o022

// openUsers reads a users file for the first time, when everything in it has to be right.
func openUsers(name string, log *slog.Logger) (*reloaded[accounts], error) {
	d, _, err := readDocument(name)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	if d.mode&unsafeMode != 0 {
		return nil, fmt.Errorf("read users: others may write %s or read its hashes (mode %04o): chmod 600 %[1]s", name, d.mode.Perm())
	}
	if _, err := ParseUsers(d.text); err != nil {
		return nil, fmt.Errorf("read users of %s: %w", name, err)
	}
	return openReloaded(name, log, userLoader{log}.load)
}

// userLoader loads a users file while the server runs: then a line that is wrong costs only the users of that line, since a user who was
// removed has to go whatever else was done to the file.
type userLoader struct{ log *slog.Logger }

func (u userLoader) load(d document) (*accounts, error) {
	if d.mode&writableMode != 0 {
		return nil, fmt.Errorf("others may write it (mode %04o): chmod 600 %s", d.mode.Perm(), d.name)
	}
	if d.mode&unsafeMode != 0 {
		u.log.Error("others may read the hashes of the users file", "file", d.name, "mode", fmt.Sprintf("%04o", d.mode.Perm()))
	}
	users, err := ParseUsers(d.text)
	for _, refused := range unjoined(err) {
		u.log.Error("line of the users file refused", "file", d.name, "err", refused)
	}
	list := users.List()
	var viewers []string
	for _, user := range list {
		if user.Role == "" {
			viewers = append(viewers, user.Name)
		}
	}
	if len(viewers) > 0 {
		u.log.Info("users without a role are viewers", "file", d.name, "users", viewers)
	}
	made := newAccounts(list)
	for _, name := range users.refused() {
		made.lockOut(name)
	}
	return made, nil
}

func unjoined(err error) []error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	return nil
}
