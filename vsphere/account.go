package vsphere

import (
	"context"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	sessions "github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

// loginPause is how long a refused password is not tried again: vCenter locks accounts after a few failures (five within three
// minutes by default), and an adapter that keeps trying locks out everybody who shares the account.
const loginPause = 3 * time.Minute

// account logs in to one vCenter, with the password as it is at that moment.
type account struct {
	vim            *vim25.Client // not through the session, which calls login
	user           string
	password, file string

	mu      sync.Mutex
	refused string
	until   time.Time
	reason  error
}

// login opens a session unless the client has a living one. A password that was refused is not sent again for a while; the first
// refusal is returned instead.
func (a *account) login(ctx context.Context) error {
	manager := sessions.NewManager(a.vim)
	if alive, err := manager.UserSession(ctx); err == nil && alive != nil {
		return nil
	}
	password, err := a.secret()
	if err != nil {
		return err
	}
	if err := a.paused(password); err != nil {
		return err
	}
	err = manager.Login(ctx, url.UserPassword(a.user, password))
	return a.remember(password, wrap("log in", a.user, err))
}

// secret is the password, read anew if it lives in a file, so that a rotated one needs no restart.
func (a *account) secret() (string, error) {
	if a.file == "" {
		return a.password, nil
	}
	b, err := os.ReadFile(a.file)
	if err != nil {
		return "", &Error{Op: "log in", Object: a.user, Kind: Misconfigured, Err: err, Hint: "passwordFile must be a readable file"}
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

func (a *account) paused(password string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.reason != nil && a.refused == password && time.Now().Before(a.until) {
		return a.reason
	}
	return nil
}

func (a *account) remember(password string, err error) error {
	if !isFault(err, fault[types.InvalidLogin]()) {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused, a.reason, a.until = password, err, time.Now().Add(loginPause)
	return err
}
