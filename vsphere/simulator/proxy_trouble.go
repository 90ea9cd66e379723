package simulator

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// Trouble is what a [Proxy] does to calls. Several kinds may come together.
type Trouble struct {
	// Refuse closes the port and all connections.
	Refuse bool
	// Hang answers nothing until the trouble changes; then the connection is cut.
	Hang bool
	// Status answers with an HTTP status instead, such as 503.
	Status int
	// Share is the probability with which Hang and Status hit a call; 0 stands for all calls.
	Share float64
	// Cut is the probability that a call's connection breaks: one time in two before the call reaches vCenter, else in the middle of
	// the answer, when it has had its effect.
	Cut float64
	// Delay is up to how long answers are held back, at random.
	Delay time.Duration
	// Inject are faults that are answered without asking vCenter; the first one that hits counts.
	Inject []Injection
	// Rewrite changes what the property collector answers. listing says that the objects were found by traversal, not named by the caller.
	Rewrite func(listing bool, result *types.RetrieveResult)
}

// Injection is a fault that calls of a method meet.
type Injection struct {
	// Method is a key of [Proxy.Calls] or the method alone; empty: any but logins and logouts.
	Method string
	Fault  types.BaseMethodFault
	// Probability of 0 stands for 1, Times of 0 for ever.
	Probability float64
	Times       int
}

// answeredEarly is the trouble on the way to vCenter.
func (p *Proxy) answeredEarly(w http.ResponseWriter, r *http.Request, t Trouble, over <-chan struct{}) bool {
	hit := (t.Hang || t.Status != 0) && p.happens(orOne(t.Share))
	switch {
	case hit && t.Hang:
		p.hang(r.Context(), over)
	case hit:
		http.Error(w, http.StatusText(t.Status), t.Status)
	case p.happens(t.Cut / 2):
		panic(http.ErrAbortHandler)
	}
	return hit
}

// hang lasts until the trouble changes, and then cuts the connection.
func (p *Proxy) hang(ctx context.Context, over <-chan struct{}) {
	select {
	case <-over:
	case <-ctx.Done():
	case <-p.life.Done():
	}
	panic(http.ErrAbortHandler)
}

// answeredFault answers with an injected fault, if one hits.
func (p *Proxy) answeredFault(w http.ResponseWriter, c call, t Trouble) bool {
	for i, injection := range t.Inject {
		if injection.matches(c) && p.happens(orOne(injection.Probability)) && p.use(i, injection.Times) {
			header := http.Header{"Content-Type": {"text/xml; charset=utf-8"}}
			p.reply(w, answer{http.StatusInternalServerError, header, faultText(injection.Fault)}, t)
			return true
		}
	}
	return false
}

func (i Injection) matches(c call) bool {
	if i.Method == "" {
		return c.method != "Login" && c.method != "Logout" && c.method != "RetrieveServiceContent"
	}
	return i.Method == c.method || i.Method == c.label()
}

// use counts an injection, and says whether it had a use left.
func (p *Proxy) use(i, times int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if times > 0 && p.injecting[i] >= times {
		return false
	}
	p.injecting[i]++
	return true
}

// hold lets the answer wait.
func (p *Proxy) hold(ctx context.Context, t Trouble) {
	if t.Delay <= 0 {
		return
	}
	p.mu.Lock()
	d := time.Duration(p.random.Int64N(int64(t.Delay)))
	p.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-p.life.Done():
	}
}

// reply hands an answer on, or the first half of it.
func (p *Proxy) reply(w http.ResponseWriter, a answer, t Trouble) {
	maps.Copy(w.Header(), a.header)
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	if !p.happens(t.Cut / 2) {
		_, _ = w.Write(a.body)
		return
	}
	_, _ = w.Write(a.body[:len(a.body)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func orOne(probability float64) float64 {
	if probability == 0 {
		return 1
	}
	return probability
}

func (p *Proxy) happens(probability float64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.random.Float64() < probability
}

// request is the call as vCenter gets it: without the cookie of a session that it is to have forgotten.
func (p *Proxy) request(r *http.Request, body []byte) (*http.Request, error) {
	u, err := url.Parse(p.backend)
	if err != nil {
		return nil, err
	}
	u.Path = r.URL.Path
	request, err := http.NewRequestWithContext(p.life, r.Method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = r.Header.Clone()
	request.Header.Del("Accept-Encoding")
	cookie, err := r.Cookie(soap.SessionCookieName)
	if err != nil {
		return request, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if alive, known := p.sessions[cookie.Value]; known && !alive {
		request.Header.Del("Cookie")
	}
	return request, nil
}

// learn notes the sessions that vCenter opens.
func (p *Proxy) learn(response *http.Response) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, cookie := range response.Cookies() {
		if cookie.Name == soap.SessionCookieName {
			p.sessions[cookie.Value] = true
		}
	}
}
