package main

import (
	"fmt"
	"io"
	"strings"
)

// progress shows how a wait goes.
type progress interface {
	machines(tally)
	say(text string)
	end()
}

// newProgress is a bar for a person, and a line per change for a file.
func newProgress(to io.Writer) progress {
	if terminal(to) {
		return &bar{to: to}
	}
	return &lines{to: to}
}

type lines struct {
	to   io.Writer
	last string
}

func (l *lines) machines(t tally) { l.say(t.String()) }
func (l *lines) end()             {}

func (l *lines) say(text string) {
	if text != l.last {
		fmt.Fprintln(l.to, oneLine(text))
		l.last = text
	}
}

const barWidth = 30

type bar struct {
	to    io.Writer
	drawn bool
}

// machines fills the bar with the share of the machines involved that are as they should be.
func (b *bar) machines(t tally) {
	filled := barWidth
	if all := max(t.desired, t.running+t.leaving); all > 0 {
		filled = barWidth * min(t.running, t.desired) / all
	}
	b.say("[" + strings.Repeat("#", filled) + strings.Repeat(".", barWidth-filled) + "] " + t.String())
}

// say writes over the current line; the escape sequence clears what is left of a longer one.
func (b *bar) say(text string) {
	fmt.Fprint(b.to, "\r"+oneLine(text)+"\x1b[K")
	b.drawn = true
}

func (b *bar) end() {
	if b.drawn {
		fmt.Fprintln(b.to)
	}
}
