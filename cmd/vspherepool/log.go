package main

import (
	"io"
	"log/slog"
	"os"
)

func newLog(o *serveOptions, to io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(o.logLevel)) // checked with the options
	options := &slog.HandlerOptions{Level: level}
	if o.logFormat == "text" || o.logFormat == "" && terminal(to) {
		return slog.New(slog.NewTextHandler(to, options))
	}
	return slog.New(slog.NewJSONHandler(to, options))
}

// terminal reports whether somebody may be looking at a stream, or typing into it.
func terminal(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull) // where cron and the like have the standard streams
	return err != nil || !os.SameFile(info, null)
}
