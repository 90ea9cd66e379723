package vsphere

import (
	"context"
	"errors"
	"net/url"
	"sync/atomic"
	"time"

	sessions "github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
)

// account logs in to one vCenter, with the password as it is at that moment.
type account struct {
	user  string
	from  passwordSource
	guard *guard

	vim     *vim25.Client // not through the session, which calls login
	dialect *dialect
	// vcenter is the instance UUID of the vCenter that the client belongs to.
	vcenter string
	// opened says that this client had a session before. Logins are made one at a time.
	opened bool
	// doubtful says that a login was refused although there had been a session: it may be alive after all.
	doubtful atomic.Bool
}

// meet makes the account that of the vCenter that was dialled.
func (a *account) meet(vc *vim25.Client) {
	a.dialect = &dialect{Client: vc.Client, next: vc.RoundTripper}
	a.dialect.agree(vc.ServiceContent.About.ApiVersion)
	vc.RoundTripper = a.dialect
	bare := *vc
	a.vim, a.vcenter = &bare, vc.ServiceContent.About.InstanceUuid
}

// admitted says whether the credential may be tried, without asking vCenter.
func (a *account) admitted() error {
	password, err := a.secret()
	if err != nil {
		return err
	}
	return a.guard.admit(password, time.Now())
}

// login opens a session unless the client has a living one.
func (a *account) login(ctx context.Context) error {
	password, err := a.secret()
	if err != nil {
		return err
	}
	if err := a.guard.turn.take(ctx); err != nil {
		return err
	}
	defer a.guard.turn.leave()
	if a.opened {
		if alive, err := a.alive(ctx); alive || err != nil {
			return err
		}
	}
	if err := a.guard.admit(password, time.Now()); err != nil {
		return err
	}
	if err := a.reopen(ctx); err != nil {
		return err
	}
	return a.present(ctx, password)
}

// reopen finds out whether another session may be opened in the place of one that was lost. The caller has seen that it is: a login to
// a living session would be refused as if the password were wrong.
func (a *account) reopen(ctx context.Context) error {
	if !a.opened {
		return nil
	}
	if err := a.guard.lost(time.Now()); err != nil {
		return err
	}
	return a.recognize(ctx)
}

// worked hears that vCenter answered a call that takes a session. A login that was refused meanwhile was refused for that session's sake,
// and says nothing of the password.
func (a *account) worked() {
	if a.doubtful.CompareAndSwap(true, false) {
		a.guard.pardon()
	}
}

// alive says whether vCenter knows the client's session. Anybody may ask, unlike SessionIsActive, which takes a privilege.
func (a *account) alive(ctx context.Context) (bool, error) {
	current, err := sessions.NewManager(a.vim).UserSession(ctx)
	if faultOf(err) != nil {
		return false, nil
	}
	return current != nil, err
}

// recognize reads anew what answers at the address, for a vCenter may have been upgraded, or another one put in its place, where the
// pool's machines would all seem to be gone.
func (a *account) recognize(ctx context.Context) error {
	content, err := methods.GetServiceContent(ctx, a.vim)
	if err != nil {
		return err
	}
	if uuid := content.About.InstanceUuid; uuid != a.vcenter {
		return &Error{
			Op: "recognize vcenter", Kind: Misconfigured,
			Err:  errors.New("this is another vCenter (" + uuid + "), the pool's machines live in " + a.vcenter),
			Hint: "point cloudApiSettings.url back to that one, or use another state directory",
		}
	}
	a.dialect.agree(content.About.ApiVersion)
	return nil
}

// present makes the one login.
func (a *account) present(ctx context.Context, password string) error {
	a.guard.sent(time.Now())
	err := sessions.NewManager(a.vim).Login(ctx, url.UserPassword(a.user, password))
	if failure, failed := errors.AsType[*Error](wrap("log in", a.user, err)); failed {
		a.guard.failed(password, failure, time.Now())
		if a.opened && failure.Kind == BadLogin {
			a.doubtful.Store(true)
		}
		return failure
	}
	a.guard.granted(password)
	a.opened = true
	a.doubtful.Store(false)
	return nil
}

// logout ends the session, if there is one.
func (a *account) logout(ctx context.Context) error {
	defer a.vim.CloseIdleConnections()
	if !a.opened {
		return nil
	}
	return sessions.NewManager(a.vim).Logout(ctx)
}

// secret is the password as it is now. An empty one is never sent: it is what a file holds that is just being written.
func (a *account) secret() (string, error) {
	password, err := a.from.read()
	if err == nil && password == "" {
		err = errors.New("the password is empty")
	}
	if err != nil {
		hint := "set password, or have passwordFile name a readable file that holds it, or passwordEnv a variable"
		return "", &Error{Op: "log in", Object: a.user, Kind: Misconfigured, Err: err, Hint: hint}
	}
	return password, nil
}
