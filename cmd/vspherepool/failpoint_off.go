//go:build !failpoints

package main

import "vspherepool/actors"

// withFailPoints leaves everything as it is: only a program built for the crash test can be told to die.
func withFailPoints(j actors.Journal, c actors.Connect) (actors.Journal, actors.Connect) { return j, c }
