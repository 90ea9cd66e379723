package chaos

import "sync"

// fuse is a process's connection to the world. Once it has blown, nothing that the process still wants to do has any effect.
type fuse struct {
	dead chan struct{}

	mu   sync.Mutex
	gone bool
	// left counts the moments until it blows; 0: it does not.
	left int
	// moments counts those that were, for who wants to choose one.
	moments int
}

func newFuse() *fuse { return &fuse{dead: make(chan struct{})} }

func (f *fuse) blow() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end()
}

func (f *fuse) end() {
	if !f.gone {
		f.gone = true
		close(f.dead)
	}
}

func (f *fuse) blown() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.gone
}

// arm has the fuse blow at the n-th moment from now. A moment is what lies before an effect, and what lies after it.
func (f *fuse) arm(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = n
}

// moment passes one, and says whether the process is alive after it.
func (f *fuse) moment() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moments++
	if f.left > 0 && !f.gone {
		if f.left--; f.left == 0 {
			f.end()
		}
	}
	return !f.gone
}
