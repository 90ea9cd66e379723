package api

import (
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// TestRequests is the contract as seen by a client: what is sent, the status, what the pool was asked, and what the message names.
func TestRequests(t *testing.T) {
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	const both = `{"membershipStatus":{"active":false,"evictable":true}}`
	tests := []struct {
		request     string
		body        string
		contentType string
		status      int
		asked       string
		message     string
	}{
		// Reads.
		{request: "GET /pool", status: 200, asked: "view"},
		{request: "GET /pool/", status: 200, asked: "view"},
		{request: "GET /pool?x=1&y=/pool/size", status: 200, asked: "view"},
		{request: "GET /pool?", status: 200, asked: "view"},
		{request: "GET /pool", contentType: "application/json; charset=UTF-8", status: 200, asked: "view"},
		{request: "GET /pool", contentType: "text/plain", status: 200, asked: "view"},
		{request: "GET /pool", body: "{}", contentType: "text/plain", status: 200, asked: "view"},
		{request: "HEAD /pool", status: 200, asked: "view"},
		{request: "GET https://other.example/pool", status: 200, asked: "view"},
		{request: "GET /pool/size", status: 200, asked: "size"},
		{request: "GET /pool/size/", status: 200, asked: "size"},
		{request: "HEAD /pool/size", status: 200, asked: "size"},
		{request: "GET /config", status: 200, asked: "config"},
		{request: "GET /config/", status: 200, asked: "config"},
		{request: "GET /status", status: 200, asked: "status"},
		{request: "HEAD /status", status: 200, asked: "status"},
		{request: "GET /pool/freeze", status: 200, asked: "frozen"},
		{request: "HEAD /pool/freeze/", status: 200, asked: "frozen"},
		{request: "GET /pool/orphans", status: 200, asked: "orphans"},
		{request: "HEAD /pool/orphans", status: 200, asked: "orphans"},

		// Resize.
		{request: "POST /pool/size", body: `{"desiredSize":3}`, status: 200, asked: "resize 3"},
		{request: "POST /pool/size/", body: `{"desiredSize":3}`, status: 200, asked: "resize 3"},
		{request: "POST /pool/size?dry=1", body: ` { "desiredSize" : 0 } `, status: 200, asked: "resize 0"},
		{request: "POST /pool/size", body: "\r\n\t{\"desiredSize\":3}\n", status: 200, asked: "resize 3"},
		{request: "POST /pool/size", body: `{"desiredSize":3}`, contentType: "-", status: 200, asked: "resize 3"},
		{
			request: "POST /pool/size", body: `{"desiredSize":3}`, contentType: "application/json; charset=UTF-8",
			status: 200, asked: "resize 3",
		},
		{
			request: "POST /pool/size", body: `{"desiredSize":3}`, contentType: "Application/JSON;charset=utf-8",
			status: 200, asked: "resize 3",
		},
		{request: "POST /pool/size", body: `{"desiredSize":3}`, contentType: "application/json; charset", status: 200, asked: "resize 3"},
		{request: "POST /pool/size", body: `{"desiredSize":3}`, contentType: "application/json;", status: 200, asked: "resize 3"},
		{request: "POST /pool/size", body: `{"desiredSize":3,"extra":{"a":[1,null]}}`, status: 200, asked: "resize 3"},
		{request: "POST /pool/size", body: `{"DesiredSize":9,"desiredSize":3}`, status: 200, asked: "resize 3"},
		{request: "POST /pool/size", body: `{"desiredSize":9,"desiredSize":3}`, status: 200, asked: "resize 3"},
		{request: "POST /pool/size", body: `{"desiredSize":2147483647}`, status: 200, asked: "resize 2147483647"},
		{request: "POST /pool/size", body: `{"desired\u0053ize":3}`, status: 200, asked: "resize 3"},
		{request: "POST /pool/size", body: `{"desiredSize":-1}`, status: 400, message: "desiredSize must be 0 or more"},
		{request: "POST /pool/size", body: `{"desiredSize":-2147483648}`, status: 400, message: "desiredSize must be 0 or more"},
		{request: "POST /pool/size", body: `{}`, status: 400, message: "desiredSize is missing"},
		{request: "POST /pool/size", body: `{"desiredSize":null}`, status: 400, message: "desiredSize must not be null"},
		{request: "POST /pool/size", body: `{"DesiredSize":3}`, status: 400, message: "desiredSize is missing"},
		{request: "POST /pool/size", body: `{"desiredsize":3}`, status: 400, message: "desiredSize is missing"},
		{request: "POST /pool/size", body: `{"desiredSize":"3"}`, status: 400, message: "desiredSize must be a whole number"},
		{request: "POST /pool/size", body: `{"desiredSize":"abc"}`, status: 400, message: "desiredSize must be a whole number"},
		{request: "POST /pool/size", body: `{"desiredSize":true}`, status: 400, message: "desiredSize must be a whole number"},
		{request: "POST /pool/size", body: `{"desiredSize":[1]}`, status: 400, message: "desiredSize must be a whole number"},
		{request: "POST /pool/size", body: `{"desiredSize":{}}`, status: 400, message: "desiredSize must be a whole number"},
		{request: "POST /pool/size", body: `{"desiredSize":1.5}`, status: 400, message: "desiredSize must be a whole number"},
		{request: "POST /pool/size", body: `{"desiredSize":3.0}`, status: 400, message: "desiredSize must be a whole number"},
		{request: "POST /pool/size", body: `{"desiredSize":1e2}`, status: 400, message: "desiredSize must be a whole number"},
		{request: "POST /pool/size", body: `{"desiredSize":2147483648}`, status: 400, message: "desiredSize is out of range"},
		{request: "POST /pool/size", body: `{"desiredSize":4294967297}`, status: 400, message: "desiredSize is out of range"},
		{request: "POST /pool/size", body: `{"desiredSize":99999999999}`, status: 400, message: "desiredSize is out of range"},
		{
			request: "POST /pool/size", body: `{"desiredSize":99999999999999999999999999}`,
			status: 400, message: "desiredSize is out of range",
		},
		{request: "POST /pool/size", body: `{"desiredSize":+3}`, status: 400, message: "not valid JSON"},
		{request: "POST /pool/size", body: `{"desiredSize":03}`, status: 400, message: "not valid JSON"},
		{request: "POST /pool/size", body: `{"desiredSize":NaN}`, status: 400, message: "not valid JSON"},
		{request: "POST /pool/size", body: `{"desiredSize":3`, status: 400, message: "not valid JSON"},
		{request: "POST /pool/size", body: `{"desiredSize":3,}`, status: 400, message: "not valid JSON"},
		{request: "POST /pool/size", body: `{"desiredSize":3} x`, status: 400, message: "not valid JSON"},
		{request: "POST /pool/size", body: `{"desiredSize":3}{"desiredSize":4}`, status: 400, message: "not valid JSON"},
		{request: "POST /pool/size", body: `{desiredSize:3}`, status: 400, message: "not valid JSON"},
		{request: "POST /pool/size", body: `{'desiredSize':3}`, status: 400, message: "not valid JSON"},
		{request: "POST /pool/size", body: `{"desiredSize":3} // no`, status: 400, message: "not valid JSON"},
		{request: "POST /pool/size", body: "\ufeff{\"desiredSize\":3}", status: 400, message: "must be a JSON object"},
		{request: "POST /pool/size", body: `[]`, status: 400, message: "must be a JSON object"},
		{request: "POST /pool/size", body: `3`, status: 400, message: "must be a JSON object"},
		{request: "POST /pool/size", body: `"x"`, status: 400, message: "must be a JSON object"},
		{request: "POST /pool/size", body: `null`, status: 400, message: "must be a JSON object"},
		{request: "POST /pool/size", body: `desiredSize=3`, status: 400, message: "must be a JSON object"},
		{request: "POST /pool/size", body: "", status: 400, message: "body is empty"},
		{request: "POST /pool/size", body: "", contentType: "application/json", status: 400, message: "body is empty"},
		{request: "POST /pool/size", body: " \r\n\t ", status: 400, message: "body is empty"},
		{request: "POST /pool/size", body: "{\"desiredSize\":3,\"x\":\"\xff\"}", status: 400, message: "not valid UTF-8"},
		{request: "POST /pool/size", body: `{"desiredSize":` + deep + `}`, status: 400, message: "not valid JSON"},
		{request: "POST /pool/size", body: `{"x":` + deep + `,"desiredSize":3}`, status: 400, message: "not valid JSON"},
		{request: "POST /pool/size", body: "\x00\x01\x02", status: 400, message: "must be a JSON object"},
		{request: "POST /pool/size", body: `{"desiredSize":3}`, contentType: "text/plain", status: 415, message: "application/json"},
		{
			request: "POST /pool/size", body: `{"desiredSize":3}`, contentType: "application/x-www-form-urlencoded",
			status: 415, message: "form",
		},
		{request: "POST /pool/size", body: `{"desiredSize":3}`, contentType: "application/yaml", status: 415, message: "yaml"},
		{
			request: "POST /pool/size", body: `{"desiredSize":3}`, contentType: "multipart/form-data; boundary=x",
			status: 415, message: "multipart",
		},
		{request: "POST /pool/size", body: `{"desiredSize":3}`, contentType: ";;;", status: 415, message: "content type"},
		{request: "POST /pool/size", body: "", contentType: "text/plain", status: 400, message: "body is empty"},

		// Terminate and detach, both forms.
		{request: "POST /pool/a/terminate", body: `{"decrementDesiredSize":true}`, status: 200, asked: "terminate a true"},
		{request: "POST /pool/a/terminate", body: `{"decrementDesiredSize":false}`, status: 200, asked: "terminate a false"},
		{request: "POST /pool/a/terminate", body: `{}`, status: 200, asked: "terminate a false"},
		{request: "POST /pool/a/terminate", body: `{"decrementDesiredSize":null}`, status: 200, asked: "terminate a false"},
		{request: "POST /pool/a/terminate", body: `{"machineId":"b"}`, status: 200, asked: "terminate a false"},
		{request: "POST /pool/a/terminate/", body: `{}`, status: 200, asked: "terminate a false"},
		{request: "POST /pool/a/terminate", body: ``, status: 400, message: "body is empty"},
		{
			request: "POST /pool/a/terminate", body: `{"decrementDesiredSize":"true"}`,
			status: 400, message: "decrementDesiredSize must be true or false",
		},
		{
			request: "POST /pool/a/terminate", body: `{"decrementDesiredSize":1}`,
			status: 400, message: "decrementDesiredSize must be true or false",
		},
		{
			request: "POST /pool/a/terminate", body: `{"decrementDesiredSize":[]}`,
			status: 400, message: "decrementDesiredSize must be true or false",
		},
		{request: "POST /pool/a/terminate", body: `true`, status: 400, message: "must be a JSON object"},
		{request: "POST /pool/a/detach", body: `{"decrementDesiredSize":true}`, status: 200, asked: "detach a true"},
		{request: "POST /pool/a/detach", body: `{"decrementDesiredSize":"no"}`, status: 400, message: "decrementDesiredSize"},
		{request: "POST /pool/terminate", body: `{"machineId":"a","decrementDesiredSize":true}`, status: 200, asked: "terminate a true"},
		{request: "POST /pool/terminate/", body: `{"machineId":"a"}`, status: 200, asked: "terminate a false"},
		{request: "POST /pool/terminate", body: `{"machineId":"a","decrementDesiredSize":null}`, status: 200, asked: "terminate a false"},
		{request: "POST /pool/terminate", body: `{"machineId":"/DC0/vm/x%2Fy"}`, status: 200, asked: "terminate /DC0/vm/x%2Fy false"},
		{request: "POST /pool/terminate", body: `{"decrementDesiredSize":true}`, status: 400, message: "machineId is missing"},
		{request: "POST /pool/terminate", body: `{"machineId":null}`, status: 400, message: "machineId must not be null"},
		{request: "POST /pool/terminate", body: `{"machineId":""}`, status: 400, message: "machineId must not be empty"},
		{request: "POST /pool/terminate", body: `{"machineId":5}`, status: 400, message: "machineId must be a string"},
		{request: "POST /pool/terminate", body: `{"machineId":["a"]}`, status: 400, message: "machineId must be a string"},
		{request: "POST /pool/terminate", body: `{"machineid":"a"}`, status: 400, message: "machineId is missing"},
		{
			request: "POST /pool/terminate", body: `{"machineId":"a","decrementDesiredSize":"yes"}`,
			status: 400, message: "decrementDesiredSize",
		},
		{request: "POST /pool/terminate", status: 400, message: "body is empty"},
		{request: "POST /pool/detach", body: `{"machineId":"a","decrementDesiredSize":true}`, status: 200, asked: "detach a true"},
		{request: "POST /pool/detach", body: `{}`, status: 400, message: "machineId is missing"},

		// Attach.
		{request: "POST /pool/a/attach", status: 200, asked: "attach a"},
		{request: "POST /pool/a/attach", contentType: "application/json; charset=UTF-8", status: 200, asked: "attach a"},
		{request: "POST /pool/a/attach", body: "whatever", contentType: "text/plain", status: 200, asked: "attach a"},
		{request: "POST /pool/a/attach", body: `{"machineId":5}`, status: 200, asked: "attach a"},
		{request: "POST /pool/attach", body: `{"machineId":"vm-42"}`, status: 200, asked: "attach vm-42"},
		{request: "POST /pool/attach", body: `{}`, status: 400, message: "machineId is missing"},
		{request: "POST /pool/attach", status: 400, message: "body is empty"},

		// Service state.
		{
			request: "POST /pool/a/serviceState", body: `{"serviceState":"OUT_OF_SERVICE"}`,
			status: 200, asked: "service a OUT_OF_SERVICE hold=true",
		},
		{request: "POST /pool/a/serviceState", body: `{"serviceState":"IN_SERVICE"}`, status: 200, asked: "service a IN_SERVICE hold=true"},
		{
			request: "POST /pool/serviceState", body: `{"machineId":"a","serviceState":"OUT_OF_SERVICE"}`,
			status: 200, asked: "service a OUT_OF_SERVICE hold=false",
		},
		{
			request: "POST /pool/serviceState", body: `{"machineId":"a","serviceState":"BOOTING"}`,
			status: 200, asked: "service a BOOTING hold=false",
		},
		{
			request: "POST /pool/serviceState", body: `{"machineId":"a","serviceState":"UNHEALTHY"}`,
			status: 200, asked: "service a UNHEALTHY hold=false",
		},
		{
			request: "POST /pool/serviceState", body: `{"machineId":"a","serviceState":"UNKNOWN"}`,
			status: 200, asked: "service a UNKNOWN hold=false",
		},
		{
			request: "POST /pool/serviceState", body: `{"machineId":"a","serviceState":"in_service"}`,
			status: 400, message: "serviceState must be one of",
		},
		{
			request: "POST /pool/serviceState", body: `{"machineId":"a","serviceState":"DEAD"}`,
			status: 400, message: "serviceState must be one of",
		},
		{
			request: "POST /pool/serviceState", body: `{"machineId":"a","serviceState":""}`,
			status: 400, message: "serviceState must not be empty",
		},
		{
			request: "POST /pool/serviceState", body: `{"machineId":"a","serviceState":null}`,
			status: 400, message: "serviceState must not be null",
		},
		{
			request: "POST /pool/serviceState", body: `{"machineId":"a","serviceState":1}`,
			status: 400, message: "serviceState must be a string",
		},
		{request: "POST /pool/serviceState", body: `{"machineId":"a"}`, status: 400, message: "serviceState is missing"},
		{request: "POST /pool/serviceState", body: `{"serviceState":"BOOTING"}`, status: 400, message: "machineId is missing"},
		{request: "POST /pool/a/serviceState", body: `{}`, status: 400, message: "serviceState is missing"},
		{request: "POST /pool/a/serviceState", status: 400, message: "body is empty"},

		// Membership status.
		{request: "POST /pool/a/membershipStatus", body: both, status: 200, asked: "membership a active=false evictable=true"},
		{
			request: "POST /pool/membershipStatus", body: `{"machineId":"a","membershipStatus":{"active":true,"evictable":false}}`,
			status: 200, asked: "membership a active=true evictable=false",
		},
		{request: "POST /pool/membershipStatus", body: both, status: 400, message: "machineId is missing"},
		{request: "POST /pool/a/membershipStatus", body: `{}`, status: 400, message: "membershipStatus is missing"},
		{
			request: "POST /pool/a/membershipStatus", body: `{"membershipStatus":null}`,
			status: 400, message: "membershipStatus must not be null",
		},
		{
			request: "POST /pool/a/membershipStatus", body: `{"membershipStatus":"blessed"}`,
			status: 400, message: "membershipStatus must be a JSON object",
		},
		{
			request: "POST /pool/a/membershipStatus", body: `{"membershipStatus":[]}`,
			status: 400, message: "membershipStatus must be a JSON object",
		},
		{
			request: "POST /pool/a/membershipStatus", body: `{"membershipStatus":{}}`,
			status: 400, message: "membershipStatus.active is missing",
		},
		{
			request: "POST /pool/a/membershipStatus", body: `{"membershipStatus":{"active":false}}`,
			status: 400, message: "membershipStatus.evictable is missing",
		},
		{
			request: "POST /pool/a/membershipStatus", body: `{"membershipStatus":{"active":0,"evictable":true}}`,
			status: 400, message: "membershipStatus.active must be true or false",
		},
		{
			request: "POST /pool/a/membershipStatus", body: `{"membershipStatus":{"active":true,"evictable":null}}`,
			status: 400, message: "membershipStatus.evictable must not be null",
		},
		{
			request: "POST /pool/a/membershipStatus", body: `{"membershipStatus":{"Active":true,"Evictable":true}}`,
			status: 400, message: "membershipStatus.active is missing",
		},

		// Freeze and thaw.
		{request: "POST /pool/freeze", body: `{"frozen":true}`, status: 200, asked: "freeze "},
		{
			request: "POST /pool/freeze", body: `{"frozen":true,"reason":"SAN work, ends 18:00 — José"}`,
			status: 200, asked: "freeze SAN work, ends 18:00 — José",
		},
		{request: "POST /pool/freeze", body: `{"frozen":true,"reason":null}`, status: 200, asked: "freeze "},
		{request: "POST /pool/freeze", body: `{"frozen":true,"reason":""}`, status: 200, asked: "freeze "},
		{request: "POST /pool/freeze", body: `{"frozen":true,"takeOver":"x"}`, status: 200, asked: "freeze "},
		{
			request: "POST /pool/freeze", body: `{"frozen":true,"reason":"` + strings.Repeat("ö", 200) + `"}`,
			status: 200, asked: "freeze " + strings.Repeat("ö", 200),
		},
		{
			request: "POST /pool/freeze", body: `{"frozen":true,"reason":"` + strings.Repeat("ö", 201) + `"}`,
			status: 400, message: "reason must not be longer than 200",
		},
		{request: "POST /pool/freeze", body: `{"frozen":true,"reason":"a\nb"}`, status: 400, message: "control characters; it has U+000A"},
		{request: "POST /pool/freeze", body: `{"frozen":true,"reason":"a\u001b[2Jb"}`, status: 400, message: "U+001B"},
		{request: "POST /pool/freeze", body: `{"frozen":true,"reason":"a\u202eb"}`, status: 400, message: "U+202E"},
		{request: "POST /pool/freeze", body: `{"frozen":true,"reason":"a\u2028b"}`, status: 400, message: "U+2028"},
		{request: "POST /pool/freeze", body: `{"frozen":true,"reason":5}`, status: 400, message: "reason must be a string"},
		{request: "POST /pool/freeze", body: `{"frozen":false}`, status: 200, asked: "thaw takeOver=false"},
		{request: "POST /pool/freeze", body: `{"frozen":false,"takeOver":true}`, status: 200, asked: "thaw takeOver=true"},
		{request: "POST /pool/freeze", body: `{"frozen":false,"takeOver":null,"reason":5}`, status: 200, asked: "thaw takeOver=false"},
		{request: "POST /pool/freeze", body: `{"frozen":false,"takeOver":1}`, status: 400, message: "takeOver must be true or false"},
		{request: "POST /pool/freeze", body: `{"frozen":"true"}`, status: 400, message: "frozen must be true or false"},
		{request: "POST /pool/freeze", body: `{"frozen":null}`, status: 400, message: "frozen must not be null"},
		{request: "POST /pool/freeze", body: `{"reason":"x"}`, status: 400, message: "frozen is missing"},
		{request: "POST /pool/freeze", body: `{"Frozen":true}`, status: 400, message: "frozen is missing"},
		{request: "POST /pool/freeze", body: `true`, status: 400, message: "must be a JSON object"},
		{request: "POST /pool/freeze", status: 400, message: "body is empty"},
		{
			request: "POST /pool/freeze", body: "frozen=true", contentType: "application/x-www-form-urlencoded",
			status: 415, message: "content type",
		},

		// Lifecycle and configuration.
		{request: "POST /start", status: 200, asked: "start"},
		{request: "POST /start/", status: 200, asked: "start"},
		{request: "POST /start", contentType: "application/json; charset=UTF-8", status: 200, asked: "start"},
		{request: "POST /start", contentType: "application/x-www-form-urlencoded", status: 200, asked: "start"},
		{request: "POST /start", body: "{}", status: 200, asked: "start"},
		{request: "POST /start", body: "x", contentType: "text/plain", status: 415, message: "content type"},
		{request: "POST /stop", status: 200, asked: "stop"},
		{request: "POST /stop", body: "x", contentType: "text/plain", status: 415, message: "content type"},
		{request: "POST /config", body: `{"name":"web"}`, status: 200, asked: `configure {"name":"web"}`},
		{request: "POST /config", body: "name: web\n", contentType: "application/yaml", status: 200, asked: "configure name: web\n"},
		{request: "POST /config", body: "name: web\n", contentType: "application/x-yaml", status: 200, asked: "configure name: web\n"},
		{
			request: "POST /config", body: "name: web\n", contentType: "text/yaml; charset=utf-8",
			status: 200, asked: "configure name: web\n",
		},
		{request: "POST /config", body: "name: web\n", contentType: "-", status: 200, asked: "configure name: web\n"},
		{request: "POST /config", body: "name: web\n", status: 400, message: "must be a JSON object"},
		{request: "POST /config", body: `{"name":`, status: 400, message: "not valid JSON"},
		{request: "POST /config", body: "[]", status: 400, message: "must be a JSON object"},
		{request: "POST /config", body: "", status: 400, message: "body is empty"},
		{request: "POST /config", body: "name: \xff", contentType: "text/yaml", status: 400, message: "not valid UTF-8"},
		{request: "POST /config", body: "name: web", contentType: "text/plain", status: 415, message: "application/yaml"},

		// Ids in the path.
		{request: "POST /pool/size/terminate", body: "{}", status: 200, asked: "terminate size false"},
		{request: "POST /pool/terminate/terminate", body: "{}", status: 200, asked: "terminate terminate false"},
		{request: "POST /pool/attach/attach", status: 200, asked: "attach attach"},
		{request: "POST /pool/freeze/attach", status: 200, asked: "attach freeze"},
		{request: "POST /pool/serviceState/attach", status: 200, asked: "attach serviceState"},
		{request: "POST /pool/ser/attach", status: 200, asked: "attach ser"},
		{request: "POST /pool/t/attach", status: 200, asked: "attach t"},
		{request: "POST /pool/a%2Fb/attach", status: 200, asked: "attach a/b"},
		{request: "POST /pool/%2FDC0%2Fvm%2Fx/attach", status: 200, asked: "attach /DC0/vm/x"},
		{request: "POST /pool/a/b/c/attach", status: 200, asked: "attach a/b/c"},
		{request: "POST /pool/a/attach/attach", status: 200, asked: "attach a/attach"},
		{request: "POST /pool/a/b/attach/", status: 200, asked: "attach a/b"},
		{request: "POST /pool/a%252Fb/attach", status: 200, asked: "attach a%2Fb"},
		{request: "POST /pool/a%20b/attach", status: 200, asked: "attach a b"},
		{request: "POST /pool/a+b/attach", status: 200, asked: "attach a+b"},
		{request: "POST /pool/%2e%2e/attach", status: 200, asked: "attach .."},
		{request: "POST /pool/{id}/attach", status: 200, asked: "attach {id}"},
		{request: "POST /pool/*/attach", status: 200, asked: "attach *"},
		{request: "POST /pool/a%zz/attach", status: 400, message: "percent escape"},
		{request: "POST /pool/a%/attach", status: 400, message: "percent escape"},
		{request: "POST /pool/a%2/terminate", body: "{}", status: 400, message: "percent escape"},
		{request: "POST /pool/%ff/terminate", body: "{}", status: 400, message: "not valid UTF-8"},

		// Paths that are nothing.
		{request: "GET /", status: 404, message: `"/"`},
		{request: "GET /pools", status: 404, message: "/pools"},
		{request: "GET /poo", status: 404, message: "/pool"},
		{request: "GET /POOL", status: 404, message: "nothing at"},
		{request: "GET /pool/a", status: 404, message: "nothing at"},
		{request: "POST /pool/a/size", status: 404, message: "nothing at"},
		{request: "POST /pool/a/Terminate", status: 404, message: "nothing at"},
		{request: "POST /pool/a/b/c", status: 404, message: "nothing at"},
		{request: "GET /pool/metadata", status: 404, message: "nothing at"},
		{request: "GET //pool", status: 404, message: "nothing at"},
		{request: "GET /pool//", status: 404, message: "nothing at"},
		{request: "GET /pool//size", status: 404, message: "nothing at"},
		{request: "GET //x/pool", status: 404, message: "nothing at"},
		{request: "GET https://other.example//pool", status: 404, message: "nothing at"},
		{request: "GET /./pool", status: 404, message: "nothing at"},
		{request: "GET /x/../pool", status: 404, message: "nothing at"},
		{request: "GET /pool/..", status: 404, message: "nothing at"},
		{request: "GET /pool/.", status: 404, message: "nothing at"},
		{request: "POST /pool/a/../size", body: `{"desiredSize":0}`, status: 404, message: "nothing at"},
		{request: "POST /pool/x/../a/terminate", body: `{}`, status: 404, message: "nothing at"},
		{request: "POST /pool//terminate", body: `{"machineId":"a"}`, status: 404, message: "nothing at"},
		{request: "POST /pool/a//terminate", body: `{"machineId":"a"}`, status: 404, message: "nothing at"},
		{request: "GET /p%6Fol", status: 404, message: "nothing at"},
		{request: "GET /pool%2Fsize", status: 404, message: "nothing at"},
		{request: "GET /pool%00", status: 404, message: "nothing at"},
		{request: "GET /*", status: 404, message: "nothing at"},
		{request: "DELETE /*", status: 404, message: "nothing at"},
		{request: "OPTIONS *", status: 404, message: "nothing at"},
		{request: "CONNECT pool:443", status: 404, message: "nothing at"},
		{request: "OPTIONS /nothing", status: 404, message: "nothing at"},
		{request: "GET /config/schema", status: 404, message: "nothing at"},

		// Methods.
		{request: "DELETE /pool", status: 405, message: "GET, HEAD, OPTIONS"},
		{request: "POST /pool", body: "{}", status: 405, message: "GET, HEAD, OPTIONS"},
		{request: "PUT /pool/size", body: "{}", status: 405, message: "GET, HEAD, OPTIONS, POST"},
		{request: "PATCH /pool/size", status: 405, message: "GET, HEAD, OPTIONS, POST"},
		{request: "GET /pool/terminate", status: 405, message: "OPTIONS, POST"},
		{request: "GET /pool/a/terminate", status: 405, message: "OPTIONS, POST"},
		{request: "GET /pool/a/b/terminate/", status: 405, message: "OPTIONS, POST"},
		{request: "HEAD /start", status: 405, message: "OPTIONS, POST"},
		{request: "TRACE /pool", status: 405, message: "GET, HEAD, OPTIONS"},
		{request: "CONNECT /pool", status: 405, message: "GET, HEAD, OPTIONS"},
		{request: "get /pool", status: 405, message: "GET, HEAD, OPTIONS"},
		{request: "PROPFIND /status", status: 405, message: "GET, HEAD, OPTIONS"},
		{request: "* /pool", status: 405, message: "GET, HEAD, OPTIONS"},
		{request: "POST /status", status: 405, message: "GET, HEAD, OPTIONS"},
		{request: "DELETE /pool/freeze", status: 405, message: "GET, HEAD, OPTIONS, POST"},
		{request: "POST /pool/orphans", body: "{}", status: 405, message: "GET, HEAD, OPTIONS"},
		{request: "DELETE /config/", status: 405, message: "GET, HEAD, OPTIONS, POST"},
		{request: "OPTIONS /pool", status: 200},
		{request: "OPTIONS /pool/a/terminate", status: 200},
	}
	pool := newScripted()
	s, _ := newTestServer(t, pool, defaultLimits)
	for _, test := range tests {
		name := strings.TrimSpace(test.request + " " + test.body[:min(len(test.body), 60)])
		t.Run(name, func(t *testing.T) {
			method, path, _ := strings.Cut(test.request, " ")
			response := call{method, path, test.body, test.contentType, nil}.run(s)
			if got := response.StatusCode(); got != test.status {
				t.Errorf("status %d, want %d: %s", got, test.status, response.Body())
			}
			if got := pool.said(); got != test.asked {
				t.Errorf("the pool was asked %q, want %q", got, test.asked)
			}
			checkAnswer(t, response, method, test.message)
		})
	}
	if len(tests) < 150 {
		t.Errorf("only %d cases are left", len(tests))
	}
}

// checkAnswer checks what holds for every answer.
func checkAnswer(t *testing.T, response *fasthttp.Response, method, message string) {
	t.Helper()
	status, body := response.StatusCode(), response.Body()
	if status != 200 {
		if got := errorOf(t, body).Message; !strings.Contains(got, message) {
			t.Errorf("message %q does not contain %q", got, message)
		}
	} else if method == "POST" && len(body) > 0 {
		t.Errorf("a mutation answered %q", body)
	}
	if got := string(response.Header.ContentType()); len(body) > 0 && got != "application/json" {
		t.Errorf("content type %q", got)
	}
	if got := response.Header.Peek("Allow"); (status == 405 || method == "OPTIONS" && status == 200) != (len(got) > 0) {
		t.Errorf("status %d with Allow %q", status, got)
	}
	for _, name := range []string{
		"X-Request-Id", "X-Content-Type-Options", "Cache-Control", "Strict-Transport-Security", "Content-Security-Policy",
	} {
		if len(response.Header.Peek(name)) == 0 {
			t.Errorf("no %s", name)
		}
	}
	if len(response.Header.Peek("Location"))+len(response.Header.Server())+len(response.Header.Peek("Access-Control-Allow-Origin")) > 0 {
		t.Errorf("unwanted header in\n%s", response.Header.String())
	}
}
