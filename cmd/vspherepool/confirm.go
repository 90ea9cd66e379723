package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// confirm asks whoever sits at the terminal.
func confirm(ctx context.Context, p process, question string) error {
	fmt.Fprint(p.stderr, question+" [y/N] ")
	switch strings.ToLower(readLine(ctx, p.stdin)) {
	case "y", "yes":
		return nil
	default:
		return errors.New("not confirmed; nothing was done")
	}
}

// readLine is what was typed, empty if ctx was over first. A terminal cannot be told to stop reading, so its reader is left behind then.
func readLine(ctx context.Context, from io.Reader) string {
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(from).ReadString('\n')
		line <- strings.TrimSpace(text)
	}()
	select {
	case <-ctx.Done():
		return ""
	case text := <-line:
		return text
	}
}
