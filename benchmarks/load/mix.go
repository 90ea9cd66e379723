package load

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxWeight keeps the round of a mix short.
const maxWeight = 10_000

// Share is how often an operation is part of a mix, by its weight among the others'.
type Share struct {
	Operation string `json:"operation"`
	Weight    int    `json:"weight"`
}

// Mix is what requests consist of.
type Mix []Share

// ParseMix reads shares such as "size=80,pool=20". A share without a weight has 1.
func ParseMix(text string) (Mix, error) {
	var mix Mix
	for part := range strings.SplitSeq(text, ",") {
		name, digits, weighted := strings.Cut(strings.TrimSpace(part), "=")
		weight := 1
		if weighted {
			var err error
			if weight, err = strconv.Atoi(digits); err != nil || weight < 1 || weight > maxWeight {
				return nil, fmt.Errorf("the weight of %s is %q, and must be a number from 1 to %d", name, digits, maxWeight)
			}
		}
		if _, ok := operations[name]; !ok {
			return nil, fmt.Errorf("there is no operation %q; there are %s", name, strings.Join(Operations(), ", "))
		}
		if mix.Has(name) {
			return nil, fmt.Errorf("%s is there twice", name)
		}
		mix = append(mix, Share{name, weight})
	}
	return mix, nil
}

// Has says whether an operation is part of the mix.
func (m Mix) Has(operation string) bool {
	return slices.ContainsFunc(m, func(s Share) bool { return s.Operation == operation })
}

// round is the order in which operations take turns, by their indexes in the mix: each as often as its weight says, spread as evenly as it
// can be (the smooth weighted round robin of nginx).
func (m Mix) round() []int {
	total := 0
	for _, s := range m {
		total += s.Weight
	}
	credit, order := make([]int, len(m)), make([]int, total)
	for turn := range order {
		best := 0
		for i, s := range m {
			credit[i] += s.Weight
			if credit[i] > credit[best] {
				best = i
			}
		}
		credit[best] -= total
		order[turn] = best
	}
	return order
}
