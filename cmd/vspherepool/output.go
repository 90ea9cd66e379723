package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"sigs.k8s.io/yaml"
)

// listing is one answer in all the forms it can be printed in.
type listing struct {
	// document is the server's JSON.
	document []byte
	header   []string
	rows     [][]string
	// narrow is how many columns a table has that is not wide; 0 is all.
	narrow int
	names  []string
}

// printer writes listings in the format asked for.
type printer struct {
	to     io.Writer
	format string
}

func (p printer) print(l listing) error {
	switch p.format {
	case "json":
		var b bytes.Buffer
		if err := json.Indent(&b, l.document, "", "  "); err != nil {
			return fmt.Errorf("format answer: %w", err)
		}
		return p.write(b.String() + "\n")
	case "yaml":
		text, err := yaml.JSONToYAML(l.document)
		if err != nil {
			return fmt.Errorf("format answer: %w", err)
		}
		return p.write(string(text))
	case "name":
		for _, name := range l.names {
			if err := p.write(oneLine(name) + "\n"); err != nil {
				return err
			}
		}
		return nil
	default:
		return p.table(l)
	}
}

func (p printer) write(text string) error {
	_, err := io.WriteString(p.to, text)
	return err
}

func (p printer) table(l listing) error {
	rows := l.rows
	if l.header != nil {
		rows = append([][]string{l.header}, rows...)
	}
	w := tabwriter.NewWriter(p.to, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if p.format == "table" && l.narrow > 0 {
			row = row[:l.narrow]
		}
		fmt.Fprintln(w, strings.Join(shown(row), "\t"))
	}
	return w.Flush()
}

// shown has a dash in each empty cell, so that columns can be told apart by fields.
func shown(row []string) []string {
	cells := make([]string, len(row))
	for i, cell := range row {
		cells[i] = cmp.Or(oneLine(cell), "-")
	}
	return cells
}

// printable replaces control characters: whoever may name a VM, or speak for a server, could command the terminal with them.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

func oneLine(text string) string {
	return strings.ReplaceAll(printable(text), "\n", " ")
}
