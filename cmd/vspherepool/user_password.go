package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"vspherepool/api"
)

// maxPasswordInput is more than a password may have.
const maxPasswordInput = 1 << 10

// newPassword is the hash of a password that is typed in twice, or is the first line of standard input.
func newPassword(ctx context.Context, p process) (secret string, err error) {
	password := ""
	if keyboard, ok := p.stdin.(*os.File); ok && term.IsTerminal(int(keyboard.Fd())) {
		password, err = typedTwice(ctx, p, keyboard)
	} else {
		password, err = firstLine(p.stdin)
	}
	if err != nil {
		return "", err
	}
	return api.HashPassword(password)
}

func firstLine(from io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(from, maxPasswordInput)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

func typedTwice(ctx context.Context, p process, keyboard *os.File) (string, error) {
	first, err := typed(ctx, p, keyboard, "Password: ")
	if err != nil {
		return "", err
	}
	second, err := typed(ctx, p, keyboard, "Once more: ")
	if err == nil && first != second {
		err = errPasswordsDiffer
	}
	return first, err
}

// typed reads a line that is not shown. A terminal cannot be told to stop reading, so its reader is left behind when ctx is over; but the
// terminal has to show again what is typed into the shell.
func typed(ctx context.Context, p process, keyboard *os.File, prompt string) (string, error) {
	fd := int(keyboard.Fd())
	shown, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	defer fmt.Fprintln(p.stderr)
	fmt.Fprint(p.stderr, prompt)
	type answer struct {
		text []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		answers <- answer{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), term.Restore(fd, shown))
	case a := <-answers:
		return string(a.text), a.err
	}
}
