// Package benchmarks measures the program from outside, as its users meet it: over HTTPS, on the embedded simulator. What can be measured
// inside one package is measured there.
//
// What the figures should be is in goals. report runs all benchmarks that have a goal and says which are met (make bench); figures are to be
// compared within one run only, or with the accepted result of the same machine (testdata/baseline.json, make bench-accept). loadtest
// measures any adapter that runs somewhere, by means of load, and soak looks for what grows in hours.
package benchmarks
