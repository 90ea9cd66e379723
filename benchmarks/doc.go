// Package benchmarks measures the program from outside, as its users meet it: over HTTPS, on the embedded simulator. What can be measured
// inside one package is measured there. `make bench` runs all of it; figures are to be compared within one run only.
package benchmarks
