package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// Target is where to send requests.
type Target struct {
	// URL is the server's, https://host:port, with a prefix if its API has one.
	URL string
	// TLS is how to trust the server, and be trusted.
	TLS *tls.Config
	// Authorization is the header of that name, if there is one.
	Authorization string
	// Timeout is for one request.
	Timeout time.Duration
	// Sizes are what Resize sets the desired size to, in turn.
	Sizes []int
}

// Poll is the operation of pollers, and Resize that which changes the desired size.
const (
	Poll   = "poll"
	Resize = "resize"
)

// operation is a kind of request.
type operation struct {
	method, path, encoding string
	// conditional requests have the entity tag of the last answer.
	conditional bool
}

var operations = map[string]operation{
	"size":      {method: fasthttp.MethodGet, path: "/pool/size"},
	"pool":      {method: fasthttp.MethodGet, path: "/pool"},
	"pool-gzip": {method: fasthttp.MethodGet, path: "/pool", encoding: "gzip"},
	"pool-304":  {method: fasthttp.MethodGet, path: "/pool", conditional: true},
	Resize:      {method: fasthttp.MethodPost, path: "/pool/size"},
}

// Operations are the names of what a mix can have.
func Operations() []string { return slices.Sorted(maps.Keys(operations)) }

// Client makes the calls of a plan at one target.
type Client struct {
	target Target
	base   *url.URL
	shared *fasthttp.HostClient
	turn   atomic.Int64
	// tag is the entity tag of the workers' last conditional answer.
	tag atomic.Pointer[string]

	mu  sync.Mutex
	own []*fasthttp.HostClient
}

// NewClient has so many connections for all the workers of a plan together; it uses as few as it can.
func NewClient(target Target, connections int) (*Client, error) {
	base, err := url.Parse(target.URL)
	if err != nil || base.Scheme != "https" || base.Host == "" || base.User != nil || base.RawQuery != "" {
		return nil, fmt.Errorf("%s must be a URL such as https://127.0.0.1:8443, without a user", target.URL)
	}
	c := &Client{target: target, base: base}
	c.shared = c.host(connections)
	return c, nil
}

// Close closes all connections. No call may be under way.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, host := range append(c.own, c.shared) {
		host.CloseIdleConnections()
	}
}

func (c *Client) host(connections int) *fasthttp.HostClient {
	addr := c.base.Host
	if c.base.Port() == "" {
		addr = strings.TrimSuffix(addr, ":") + ":443"
	}
	return &fasthttp.HostClient{
		Addr: addr, IsTLS: true, TLSConfig: c.target.TLS, MaxConns: connections,
		ReadTimeout: c.target.Timeout, WriteTimeout: c.target.Timeout,
		// Pollers keep their connections, as long as the server does.
		MaxIdleConnDuration: time.Hour,
		// One more attempt is for a connection that the server has closed while it was idle.
		MaxIdemponentCallAttempts: 2, NoDefaultUserAgentHeader: true,
		Dial: func(addr string) (net.Conn, error) { return net.DialTimeout("tcp", addr, c.target.Timeout) },
	}
}

// Connect is for Plan.Connect.
func (c *Client) Connect(mix Mix) func() []Call {
	return func() []Call {
		calls := make([]Call, len(mix))
		for i, share := range mix {
			calls[i] = c.call(c.shared, operations[share.Operation], &c.tag)
		}
		return calls
	}
}

// ConnectPoller is for Plan.ConnectPoller: each has a connection of its own. Conditional ones have the last answer's entity tag.
func (c *Client) ConnectPoller(conditional bool) func() Call {
	return func() Call {
		host := c.host(1)
		c.mu.Lock()
		c.own = append(c.own, host)
		c.mu.Unlock()
		poll := operations["pool"]
		poll.conditional = conditional
		return c.call(host, poll, &atomic.Pointer[string]{})
	}
}

// call has a request and an answer that it uses again and again. Conditional ones share the tag with others.
func (c *Client) call(host *fasthttp.HostClient, o operation, tag *atomic.Pointer[string]) Call {
	request, response := &fasthttp.Request{}, &fasthttp.Response{}
	request.Header.SetMethod(o.method)
	request.SetRequestURI("https://" + c.base.Host + strings.TrimSuffix(c.base.EscapedPath(), "/") + o.path)
	if c.target.Authorization != "" {
		request.Header.Set(fasthttp.HeaderAuthorization, c.target.Authorization)
	}
	if o.encoding != "" {
		request.Header.Set(fasthttp.HeaderAcceptEncoding, o.encoding)
	}
	return func() Answer {
		if o.method == fasthttp.MethodPost {
			c.setSize(request)
		}
		if known := tagOf(o, tag); known != nil {
			request.Header.Set(fasthttp.HeaderIfNoneMatch, *known)
		}
		if err := host.Do(request, response); err != nil {
			return Answer{Err: err}
		}
		if now := response.Header.Peek(fasthttp.HeaderETag); o.conditional && len(now) > 0 {
			keep(tag, now)
		}
		return Answer{Status: response.StatusCode(), Bytes: len(response.Body())}
	}
}

func tagOf(o operation, tag *atomic.Pointer[string]) *string {
	if !o.conditional {
		return nil
	}
	return tag.Load()
}

// keep makes no new string for a tag that has not changed.
func keep(tag *atomic.Pointer[string], now []byte) {
	if known := tag.Load(); known == nil || *known != string(now) {
		text := string(now)
		tag.Store(&text)
	}
}

// setSize takes the next of the sizes.
func (c *Client) setSize(request *fasthttp.Request) {
	size := c.target.Sizes[int(c.turn.Add(1)-1)%len(c.target.Sizes)]
	request.Header.SetContentType("application/json")
	request.SetBodyString(`{"desiredSize":` + strconv.Itoa(size) + `}`)
}

// Warm opens connections, so that a measurement begins with them: it reads the size on each. An error is that of one of them; a status
// other than 200 is one, too.
func (c *Client) Warm(connections int) error {
	results := make([]error, connections)
	var all sync.WaitGroup
	for i := range results {
		call := c.call(c.shared, operations["size"], nil)
		all.Go(func() { results[i] = call().failure() })
	}
	all.Wait()
	for _, err := range results {
		if err != nil {
			return fmt.Errorf("read size of pool: %w", err)
		}
	}
	return nil
}

// StatusError is an answer other than 200.
type StatusError int

// Error names the status.
func (e StatusError) Error() string {
	return strconv.Itoa(int(e)) + " " + fasthttp.StatusMessage(int(e))
}

func (a Answer) failure() error {
	if a.Err == nil && a.Status != fasthttp.StatusOK {
		return StatusError(a.Status)
	}
	return a.Err
}

// Settle sets the desired size to the first of the sizes.
func (c *Client) Settle() error {
	if len(c.target.Sizes) == 0 {
		return errors.New("settle size: there is none")
	}
	c.turn.Store(0)
	if err := c.call(c.shared, operations[Resize], nil)().failure(); err != nil {
		return fmt.Errorf("settle size: %w", err)
	}
	return nil
}
