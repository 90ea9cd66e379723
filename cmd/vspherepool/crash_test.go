package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// crashVariable says how much of [TestCrash] to run: "all", as `make crash` does, or a number of cases to choose at random. With the race
// detector the simulator is slow. A case that failed is repeated by its name: VSPHEREPOOL_CRASH=all go test -run 'TestCrash/…'.
const (
	crashVariable       = "VSPHEREPOOL_CRASH"
	crashCasesByDefault = 8
)

// failPointEnv is the one in failpoint_on.go, which is not compiled in here.
const failPointEnv = "VSPHEREPOOL_FAILPOINT"

// passage is one moment to die at: the nth time that a scene comes by a fail point.
type passage struct {
	scene string
	nth   int
}

// passages say which scene comes by which step. The steps are the product's: one that is not here fails the test.
var passages = map[string][]passage{
	"pool:document": {{"start", 1}, {"reconfigure", 1}},
	"pool:started":  {{"start", 1}, {"stop and start", 1}, {"stop and start", 2}},
	"pool:writer":   {{"start", 1}},
	"pool:rebuilt":  {{"start", 1}},
	"pool:vcenter":  {{"start", 1}},
	"pool:desired":  {{"start", 1}, {"grow", 2}, {"shrink", 1}, {"terminate and decrement", 1}, {"detach", 1}, {"attach", 1}},
	"pool:still":    {{"freeze and thaw", 1}, {"freeze and thaw", 2}},
	"pool:unread":   {{"unread", 1}, {"unread", 2}},
	"pool:owed":     {{"lose while frozen", 1}, {"lose while frozen", 2}},
	"pool:churn":    {{"lose", 1}},

	"machine:requested":  {{"grow", 1}, {"lose", 1}},
	"machine:cloning":    {{"grow", 1}, {"grow", 2}},
	"machine:copying":    {{"grow", 1}, {"grow", 2}},
	"machine:lookingUp":  {{"name taken", 1}},
	"machine:verifying":  {{"grow", 1}},
	"machine:cloned":     {{"grow", 1}},
	"machine:adopting":   {{"lose the journal", 1}},
	"machine:starting":   {{"grow", 1}},
	"machine:booting":    {{"grow", 1}, {"grow", 2}},
	"machine:running":    {{"grow", 1}, {"grow", 2}, {"attach", 1}},
	"machine:noted":      {{"grow", 1}},
	"machine:status":     {{"service state", 1}, {"membership", 1}, {"out of service", 1}},
	"machine:cancelled":  {{"terminate during clone", 1}},
	"machine:retiring":   {{"shrink", 1}, {"terminate", 1}, {"terminate and decrement", 1}},
	"machine:stopping":   {{"shrink", 1}},
	"machine:draining":   {{"shrink", 1}},
	"machine:halting":    {{"shrink hard", 1}},
	"machine:halted":     {{"shrink", 1}},
	"machine:destroying": {{"shrink", 1}},
	"machine:terminated": {{"shrink", 1}, {"terminate", 1}},
	"machine:forgotten":  {{"shrink", 1}, {"detach", 1}},
	"machine:lost":       {{"lose", 1}},
	"machine:givenUp":    {{"power off", 1}},
	"machine:clearing":   {{"power off", 1}},
	"machine:removing":   {{"power off", 1}},
	"machine:released":   {{"unmark", 1}},
	"machine:rejected":   {{"refuse", 1}},

	"call:clone":         {{"grow", 1}, {"grow", 2}},
	"call:powerOn":       {{"grow", 1}},
	"call:shutdownGuest": {{"shrink", 1}},
	"call:powerOff":      {{"shrink hard", 1}, {"power off", 1}},
	"call:destroy":       {{"shrink", 1}, {"power off", 1}},
	"call:write":         {{"terminate", 1}, {"terminate and decrement", 1}, {"detach", 1}, {"membership", 1}},
	"call:claim":         {{"attach", 1}},
}

// inVCenter are moments at which vCenter has taken a call and not done it yet: the answer finds nobody.
var inVCenter = map[string][]passage{
	"CloneVM_Task":    {{"grow", 1}, {"grow", 2}},
	"PowerOn":         {{"grow", 1}},
	"ShutdownGuest":   {{"shrink", 1}},
	"PowerOffVM_Task": {{"shrink hard", 1}},
	"Destroy_Task":    {{"shrink", 1}, {"power off", 1}},
	"ReconfigVM_Task": {{"terminate and decrement", 1}, {"detach", 1}, {"attach", 1}, {"membership", 1}},
}

// crashCase is one death.
type crashCase struct {
	passage
	// point is a fail point of the program, or method the call that vCenter is about to do.
	point, method string
}

func (c crashCase) name() string {
	moment := strings.Replace(c.point, "/", " ", 1)
	if c.method != "" {
		moment = "during " + c.method
	}
	return fmt.Sprintf("%s in %s #%d", moment, c.scene, c.nth)
}

// TestCrash kills the real program, a process of its own, before and after every write to the journal and every call that changes vSphere:
// whatever it had acknowledged holds afterwards, nothing is duplicated, forgotten or touched that is not the pool's.
func TestCrash(t *testing.T) {
	program := buildForCrash(t)
	cases := crashCases(t, program)
	rand.Shuffle(len(cases), func(i, j int) { cases[i], cases[j] = cases[j], cases[i] })
	chosen := cases[:min(len(cases), crashSample(t, len(cases)))]
	t.Logf("%d of %d cases", len(chosen), len(cases))
	queue := make(chan crashCase)
	var workers sync.WaitGroup
	for range 6 { // they wait more than they work
		workers.Go(func() {
			for c := range queue {
				t.Run(c.name(), func(t *testing.T) { c.run(t, program) })
			}
		})
	}
	for _, c := range chosen {
		queue <- c
	}
	close(queue)
	workers.Wait()
}

func crashSample(t *testing.T, all int) (n int) {
	t.Helper()
	text := os.Getenv(crashVariable)
	switch text {
	case "":
		return crashCasesByDefault
	case "all":
		return all
	}
	if _, err := fmt.Sscan(text, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// buildForCrash builds the program with fail points, and without, to see that they are gone then.
func buildForCrash(t *testing.T) string {
	t.Helper()
	build := func(tags string) (path string, mentions bool) {
		path = filepath.Join(t.TempDir(), "vspherepool")
		if out, err := exec.Command("go", "build", "-tags="+tags, "-o", path, ".").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		program, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return path, bytes.Contains(program, []byte(failPointEnv)) || bytes.Contains(program, []byte("failingProvider"))
	}
	if _, mentions := build(""); mentions {
		t.Error("the released program knows of fail points")
	}
	path, mentions := build("failpoints")
	if !mentions {
		t.Fatal("the program for the crash test has no fail points")
	}
	return path
}

// crashCases are all: every fail point that the program has, before and after, and the moments within vCenter.
func crashCases(t *testing.T, program string) []crashCase {
	t.Helper()
	list := exec.Command(program, "serve", "--listen=127.0.0.1:0", "--state-dir="+t.TempDir())
	list.Env = append(os.Environ(), failPointEnv+"=list")
	points, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	var cases []crashCase
	known := map[string]bool{}
	for point := range strings.FieldsSeq(string(points)) {
		step, _, _ := strings.Cut(point, "/")
		known[step] = true
		if len(passages[step]) == 0 {
			t.Errorf("no scene comes by %s: add one to passages", step)
		}
		for _, p := range passages[step] {
			cases = append(cases, crashCase{passage: p, point: point})
		}
	}
	for step := range passages {
		if !known[step] {
			t.Errorf("the program has no step %s any more", step)
		}
	}
	for method, ps := range inVCenter {
		for _, p := range ps {
			cases = append(cases, crashCase{passage: p, method: method})
		}
	}
	slices.SortFunc(cases, func(a, b crashCase) int { return strings.Compare(a.name(), b.name()) })
	return cases
}

// run plays the scene until the program dies, starts it again, and looks at what it finds and does.
func (c crashCase) run(t *testing.T, program string) {
	s := newStage(t, program)
	play, ok := scenes[c.scene]
	if !ok {
		t.Fatalf("there is no scene %s", c.scene)
	}
	if play.prepare != nil {
		s.start()
		play.prepare(s)
		s.kill()
	}
	if c.method != "" {
		s.killInVCenter(c.method, c.nth)
	}
	if s.open(fmt.Sprintf("%s=%s#%d", failPointEnv, c.point, c.nth)) {
		play.act(s)
		if !s.diesSoon() {
			s.kill()
			t.Fatalf("%s was never reached:\n%s", c.name(), s.log())
		}
	}
	s.hook(nil)
	s.verify()
}
