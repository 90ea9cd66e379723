package vsphere

import (
	"slices"
	"strings"
	"testing"

	"github.com/vmware/govmomi/vim25/types"
	"pgregory.net/rapid"
)

// question is one with the given message ids, number of choices and default.
func question(text string, ids []string, choices int, byDefault int32) types.VirtualMachineQuestionInfo {
	q := types.VirtualMachineQuestionInfo{Id: "1", Text: text, Choice: types.ChoiceOption{DefaultIndex: byDefault}}
	for _, id := range ids {
		q.Message = append(q.Message, types.VirtualMachineMessage{Id: id})
	}
	for i := range choices {
		q.Choice.ChoiceInfo = append(q.Choice.ChoiceInfo, &types.ElementDescription{Key: string(rune('0' + i))})
	}
	return q
}

func TestChoose(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		question types.VirtualMachineQuestionInfo
		key      string
		known    bool
	}{
		"moved or copied":              {question("", []string{"msg.uuid.altered"}, 3, 2), "2", true},
		"disk full":                    {question("", []string{"msg.hbacommon.outofspace"}, 2, 0), "1", true},
		"disk full, one choice":        {question("", []string{"msg.hbacommon.outofspace"}, 1, 0), "0", true},
		"cd-rom locked":                {question("", []string{"msg.cdromdisconnect.locked"}, 2, 1), "0", true},
		"the second message is known":  {question("", []string{"msg.other", "msg.uuid.moved"}, 2, 1), "1", true},
		"the id heads the text":        {question("msg.hbacommon.outofspace:There is no more space", nil, 2, 0), "1", true},
		"unknown":                      {question("", []string{"msg.disk.lazyConsolidate"}, 2, 0), "", false},
		"unknown, though its text is":  {question("msg.uuid.altered:x", []string{"msg.other"}, 2, 0), "", false},
		"known, without such a choice": {question("", []string{"msg.uuid.altered"}, 2, 2), "", false},
		"no default":                   {question("", []string{"msg.uuid.altered"}, 2, -1), "", false},
		"no choice":                    {question("", []string{"msg.hbacommon.outofspace"}, 0, 0), "", false},
		"nothing known":                {types.VirtualMachineQuestionInfo{Id: "1"}, "", false},
	} {
		if key, known := choose(row.question); key != row.key || known != row.known {
			t.Errorf("%s: %q, %t", name, key, known)
		}
	}
}

func TestChoiceIsAlwaysOnOffer(t *testing.T) {
	t.Parallel()
	ids := rapid.SampledFrom([]string{"msg.uuid.altered", "msg.hbacommon.outofspace", "msg.cdromdisconnect.locked", "msg.other"})
	rapid.Check(t, func(t *rapid.T) {
		q := question(rapid.String().Draw(t, "text"), rapid.SliceOf(ids).Draw(t, "ids"),
			rapid.IntRange(0, 4).Draw(t, "choices"), rapid.Int32().Draw(t, "default"))
		if key, known := choose(q); known && !slices.Contains(choices(q), key) {
			t.Errorf("%q is not on offer", key)
		}
		if words := asked(q); strings.Contains(words, "\n") || len([]rune(words)) > 301 {
			t.Errorf("said %q", words)
		}
	})
}

// TestQuestionsComeFirst has each verb of a machine's end meet a question.
func TestQuestionsComeFirst(t *testing.T) {
	t.Parallel()
	unknown := question("msg.disk.odd:Shall\n the disk  be repaired?", []string{"msg.disk.odd"}, 2, 0)
	for verb, call := range map[string]func(*Client) error{
		"power off": func(c *Client) error { return c.PowerOff(t.Context(), own("vm-1")) },
		"destroy":   func(c *Client) error { return c.Destroy(t.Context(), own("vm-2")) },
		"shut down": func(c *Client) error { return c.ShutdownGuest(t.Context(), own("vm-1")) },
	} {
		p, c := newPlant(t, 2)
		p.on("vm-1")
		for _, vm := range []string{"vm-1", "vm-2"} {
			p.set(vm, "runtime.question", unknown)
		}
		err := call(c)
		if KindOf(err) != Locked || !strings.Contains(err.Error(), `"msg.disk.odd:Shall the disk be repaired?": answer it in vCenter`) {
			t.Errorf("%s: %v", verb, err)
		}
		if calls := p.calls(); len(calls) > 0 {
			t.Errorf("%s: calls %q", verb, calls)
		}
		for _, vm := range []string{"vm-1", "vm-2"} {
			p.set(vm, "runtime.question", question("", []string{"msg.hbacommon.outofspace"}, 2, 0))
		}
		_ = call(c)
		if calls := p.calls(); len(calls) == 0 || !strings.HasPrefix(calls[0], "answer 1 vm-") {
			t.Errorf("%s: calls %q", verb, calls)
		}
	}
}
