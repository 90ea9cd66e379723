// Package api serves the pool over HTTPS: the elastisys cloud adapter API 2.0 and the cloud pool API 5.0, on the same paths with one
// superset of JSON. The two differ in where the machine id stands: 2.0 has it in the path, 5.0 in the body. Beside them there is what
// only this server has: freezing and thawing, the orphans, and the metrics.
//
// It is the translation between HTTP and [Service] and nothing else. It holds no state of the pool, takes no decision about machines, and
// retries nothing. The answers to GET /pool and GET /pool/size are kept, for as long as the pool, which is asked each time, says the same.
//
// # A request's way
//
//	TLS ─▶ fasthttp ─▶ handle (id, recover, headers, metrics, log) ─▶ identify ─▶ canonical path ─▶ router ─┐
//	                                         encode ◀─ Service ◀─ decode ◀─ permit (role) ◀─────────────────┘
//
// Each of these steps may fail instead: error ─▶ problem ─▶ JSON error.
//
// # Invariants
//
//   - Success is exactly 200. A mutation answers an empty body.
//   - Every other answer has a JSON body {"message", "detail"}, those that fasthttp itself gives to unreadable requests included; the
//     exceptions are the ones that HTTP wants empty, 304 and any answer to HEAD.
//   - Input is decoded strictly before the pool is asked: a request that answers 400, 404 (path), 405, 413 or 415 has changed nothing.
//   - What a client sends never makes a 5xx. How much all of them send at once may: beyond a limit for all, the answer is 503, and beyond
//     one for each, where there is one, it is 429, both at once and with Retry-After; see [class].
//   - A request that could be taken for two, or for none, is refused, and the connection closed; see [framed].
//   - No connection that waits keeps another out, and no operation that waits for vCenter a read; see [crowd] and [turns].
//   - A browser changes nothing on behalf of another site, and no answer permits other sites anything; see [crossSite].
//   - No redirects: old Java clients repeat a redirected POST as a GET. A path is either a route's own, with at most one trailing
//     slash, or not found; nothing is cleaned, so no path can pass for another.
//   - Who is not known learns nothing, not even which paths there are, and of a login neither by the answer nor by the time it takes
//     whether there is such a user; see [Users] for who is known. What is unlocked by files is locked again within a second of their
//     change, on open connections too.
//   - A failed login costs only those who share its name and address. Who was let in once waits for nobody who was not.
//   - A cause of kind [actors.Internal] is logged and not sent. Request bodies and headers are neither logged nor echoed.
//   - Counting a request takes no lock and no memory, and no label has a value that a client chose; see [metrics].
//   - Everything a client can hold open is bounded in time, size and number; see [limits].
//
// # Crashes
//
// A panic in a handler costs that request: it answers 500 and the stack is logged. When the process dies, a request without an answer
// may or may not have taken effect; the resize and the machine operations of [Service] are durable before they return, so what was
// answered 200 is kept. Nothing here has to be recovered: the only files are the self-signed certificate and its key, and a
// half-written pair is made again.
package api
