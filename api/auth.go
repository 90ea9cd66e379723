package api

import (
	"cmp"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
)

// doorman asks for a password or a token of the users file, a client certificate, or either.
type doorman struct {
	// users and clients are nil where there is no such file.
	users   *reloaded[accounts]
	clients *reloaded[authorities]
	// certificateRequired is for a password or token, too.
	certificateRequired bool
	// subject is the role of certificates that the users file does not name.
	subject   role
	passwords *passwords
}

// newAuthenticator also returns the client authorities, nil without any, for the handshakes.
func newAuthenticator(o Options) (authenticator, *reloaded[authorities], error) {
	if o.UsersFile == "" && o.ClientCAFile == "" {
		return open{}, nil, nil
	}
	subject, ok := parseRole(cmp.Or(o.ClientRole, unnamedRole(o).String()))
	if !ok {
		return nil, nil, fmt.Errorf("open authentication: there is no role %q; use one of %s", o.ClientRole, strings.Join(Roles(), ", "))
	}
	d := &doorman{certificateRequired: o.ClientCAFile != "" && !o.ClientCertOptional, subject: subject, passwords: newPasswords()}
	var err error
	if o.UsersFile != "" {
		d.users, err = openUsers(o.UsersFile, o.Log)
	}
	if o.ClientCAFile != "" && err == nil {
		d.clients, err = openAuthorities(o.ClientCAFile, o.Log)
	}
	return d, d.clients, err
}

// unnamedRole is that of certificates that nothing is said about. The authority is the operator's own, and so is who has its certificates,
// until there is a file that says who may what: then to be left out of it, or taken out, must not make anybody more than those in it.
func unnamedRole(o Options) role {
	if o.UsersFile == "" {
		return admin
	}
	return nobody
}

// identify is the one place where a request gets its principal. A certificate that has to be there must be good. Beyond that, what the
// request says of itself decides, if there are users, and the certificate only where it says nothing.
func (d *doorman) identify(r *fasthttp.RequestCtx) (principal, error) {
	now := time.Now()
	subject, err := d.certificate(r, now)
	if err != nil && d.certificateRequired {
		r.SetConnectionClose() // a new one may show another certificate
		return principal{}, d.refuse(r, err)
	}
	credentials := r.Request.Header.PeekAll(fasthttp.HeaderAuthorization)
	if d.users != nil && len(credentials) > 0 {
		who, err := d.present(r, credentials, now)
		if err != nil {
			return principal{}, d.refuse(r, err)
		}
		if subject != nil {
			who.certificate = subjectName(subject)
		}
		return who, nil
	}
	if err != nil {
		return principal{}, d.refuse(r, err)
	}
	who, err := d.holder(subject, now)
	if err != nil {
		return principal{}, d.refuse(r, err)
	}
	return who, nil
}

var errNoCredentials = errors.New("no credentials")

// certificate is the client's, if it is good now.
func (d *doorman) certificate(r *fasthttp.RequestCtx, now time.Time) (*x509.Certificate, error) {
	if d.clients == nil {
		return nil, errNoCredentials
	}
	state := r.TLSConnectionState()
	if state == nil || len(state.PeerCertificates) == 0 {
		return nil, errNoCredentials
	}
	if err := d.clients.at(now).verify(state.PeerCertificates, now); err != nil {
		return nil, err
	}
	return state.PeerCertificates[0], nil
}

// subjectName is what a certificate's holder goes by.
func subjectName(c *x509.Certificate) string { return cmp.Or(c.Subject.CommonName, c.Subject.String()) }

// holder is the principal of a good certificate.
func (d *doorman) holder(c *x509.Certificate, now time.Time) (principal, error) {
	who := principal{name: subjectName(c), role: d.subject, by: CertificateUser}
	if d.users == nil {
		return who, nil
	}
	users := d.users.at(now)
	user := users.subjects[c.Subject.String()]
	if user == nil && !strings.Contains(c.Subject.CommonName, "=") { // a common name that looks like a whole subject is none
		user = users.subjects[c.Subject.CommonName]
	}
	switch {
	case user == nil:
		return who, nil
	case !user.inForce(now):
		return principal{}, errExpired
	}
	who.name, who.role = user.name, user.role
	return who, nil
}

var (
	errMalformed = errors.New("malformed credentials")
	errUnknown   = errors.New("unknown user or token")
	errExpired   = errors.New("the user's time is over")
)

// present takes what stands in the header Authorization. Two such headers could mean one thing here and another to a proxy.
func (d *doorman) present(r *fasthttp.RequestCtx, headers [][]byte, now time.Time) (principal, error) {
	scheme, credentials, _ := strings.Cut(string(headers[0]), " ")
	credentials = strings.Trim(credentials, " ")
	switch {
	case len(headers) > 1:
		return principal{}, errMalformed
	case strings.EqualFold(scheme, "Basic"):
		return d.password(r, credentials, now)
	case strings.EqualFold(scheme, "Bearer"):
		return d.token(credentials, now)
	}
	return principal{}, errMalformed
}

func (d *doorman) token(token string, now time.Time) (principal, error) {
	user := d.users.at(now).withToken(token)
	switch {
	case user == nil:
		return principal{}, errUnknown
	case !user.inForce(now):
		return principal{}, errExpired
	}
	return principal{name: user.name, role: user.role, by: TokenUser}, nil
}

func (d *doorman) password(r *fasthttp.RequestCtx, credentials string, now time.Time) (principal, error) {
	name, password, err := parseBasic(credentials)
	if err != nil {
		return principal{}, err
	}
	return d.logIn(r, name, password, now)
}

// claim is a login of a user that failed.
type claim struct {
	name string
	err  error
}

func (c *claim) Error() string { return "user " + strconv.Quote(c.name) + ": " + c.err.Error() }
func (c *claim) Unwrap() error { return c.err }

// logIn takes the same way for every name until the password has been compared. Only of names that exist a refusal says which it was: as
// others, people type their passwords.
func (d *doorman) logIn(r *fasthttp.RequestCtx, name, password string, now time.Time) (principal, error) {
	user, known := d.users.at(now).withPassword(name)
	if user == nil {
		return principal{}, errUnknown
	}
	genuine := known && user.inForce(now)
	err := d.passwords.check(login{hostOf(r.RemoteAddr()), name, password, user.secret, genuine, now})
	switch {
	case errors.Is(err, errWrong) && !known:
		return principal{}, errUnknown
	case errors.Is(err, errWrong) && !genuine:
		return principal{}, &claim{name, errExpired}
	case err != nil && known:
		return principal{}, &claim{name, err}
	case err != nil:
		return principal{}, err
	}
	return principal{name: user.name, role: user.role, by: PasswordUser}, nil
}

// parseBasic reads the credentials of RFC 7617, which have no control characters.
func parseBasic(credentials string) (name, password string, err error) {
	text, err := base64.StdEncoding.DecodeString(credentials)
	name, password, found := strings.Cut(string(text), ":")
	if err != nil || !found || !printable(name) || !printable(password) {
		return "", "", errMalformed
	}
	return name, password, nil
}

func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// refuse makes the answer to a stranger. The cause is for the log; the answer is the same for all but those who have to wait.
func (d *doorman) refuse(r *fasthttp.RequestCtx, cause error) error {
	if delay, ok := errors.AsType[*delayed](cause); ok {
		seconds := int((delay.wait + time.Second - 1) / time.Second)
		r.Response.Header.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(seconds))
		message := fmt.Sprintf("%v; try again in %d s", delay.err, seconds)
		return &refused{cause, &problem{fasthttp.StatusTooManyRequests, message, nil}}
	}
	d.challenge(r)
	return &refused{cause, errUnauthorized}
}

var errUnauthorized = &problem{
	status: fasthttp.StatusUnauthorized,
	message: "this server has to know who is asking: send the name and password, the token, or the client certificate of one of its users; " +
		"what was sent, if anything, is wrong, removed or expired",
}

// refused has one text for the log and another for the client.
type refused struct {
	cause  error
	answer *problem
}

func (e *refused) Error() string   { return e.cause.Error() }
func (e *refused) Unwrap() []error { return []error{e.answer, e.cause} }

// challenge says what to log in with. Simple clients look at the first header only, and all of them know Basic.
func (d *doorman) challenge(r *fasthttp.RequestCtx) {
	header := &r.Response.Header
	if d.users == nil {
		header.Set(fasthttp.HeaderWWWAuthenticate, `Certificate realm="vspherepool"`) // HTTP has no word for it, but wants one
		return
	}
	header.Set(fasthttp.HeaderWWWAuthenticate, `Basic realm="vspherepool", charset="UTF-8"`)
	if len(d.users.current.Load().tokens) > 0 {
		header.Add(fasthttp.HeaderWWWAuthenticate, `Bearer realm="vspherepool"`)
	}
}
