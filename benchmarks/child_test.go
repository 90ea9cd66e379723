package benchmarks

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childRole, in the environment, makes this test binary one of the servers.
const childRole = "VSPHEREPOOL_BENCH_SERVER"

// TestServe is no test but the process of a server: those that are compared have one each, so that neither pays for the other's heap or for
// the client's, and each can tell what CPU time it has used. It prints its address, then its CPU time in nanoseconds for each line that it
// reads, and ends when its input does.
func TestServe(t *testing.T) {
	role, arg, isChild := strings.Cut(os.Getenv(childRole), " ")
	if !isChild {
		t.Skip("the benchmarks run this in processes of their own")
	}
	fmt.Println(servers[role](t, arg))
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var used syscall.Rusage
		done(t, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
		fmt.Println(used.Utime.Nano() + used.Stime.Nano())
	}
}

// child is a server in a process of its own.
type child struct {
	addr string
	in   io.Writer
	out  *bufio.Reader
}

// spawn starts a server and waits until it listens.
func spawn(t testing.TB, role, arg string) *child {
	t.Helper()
	command := exec.Command(os.Args[0], "-test.run", "^TestServe$")
	command.Env = append(os.Environ(), childRole+"="+role+" "+arg)
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	done(t, err)
	out, err := command.StdoutPipe()
	done(t, err)
	done(t, command.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = command.Wait()
	})
	c := &child{in: in, out: bufio.NewReader(out)}
	if c.addr = c.line(t); !strings.HasPrefix(c.addr, "127.0.0.1:") {
		t.Fatalf("%s %s did not start: %s", role, arg, c.addr)
	}
	return c
}

func (c *child) line(t testing.TB) string {
	t.Helper()
	line, err := c.out.ReadString('\n')
	done(t, err)
	return strings.TrimSpace(line)
}

// cpu is the time that the process has used.
func (c *child) cpu(t testing.TB) time.Duration {
	t.Helper()
	_, err := fmt.Fprintln(c.in)
	done(t, err)
	used, err := time.ParseDuration(c.line(t) + "ns")
	done(t, err)
	return used
}
