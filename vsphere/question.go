package vsphere

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"
)

// byDefault stands for the choice that the question itself proposes.
const byDefault = ""

// answers are the questions that a machine on its way out is answered in passing, by the message's id, with the key of the choice.
// Where a question does not have that choice, its default is taken. (bosh-vsphere-cpi-release answers all questions with the default;
// nobody knows what those that are not listed here ask for.)
var answers = map[string]string{
	"msg.uuid.altered": byDefault, // moved or copied? The default is copied.
	"msg.uuid.moved":   byDefault,
	// The disk is full: 0 is to retry, which asks again at once, and 1 to cancel, which ends the session.
	"msg.hbacommon.outofspace": "1",
	// The guest has locked the CD-ROM: 0 is to disconnect it anyway (terraform-provider-vsphere answers so).
	"msg.cdromdisconnect.locked": "0",
}

// answer answers the question that a VM waits with, if it is one of the harmless ones; any other is for a person.
func (c *Client) answer(ctx context.Context, ref Ref, q types.VirtualMachineQuestionInfo) error {
	if q.Id == "" {
		return nil
	}
	choice, known := choose(q)
	if !known {
		return &Error{Kind: Locked, Err: errors.New("it waits for an answer to \"" + asked(q) + "\""), Hint: "answer it in vCenter"}
	}
	return wrap("answer question of", string(ref), object.NewVirtualMachine(c.vim, vmRef(ref)).Answer(ctx, q.Id, choice))
}

// choose is the key of the answer to a known question.
func choose(q types.VirtualMachineQuestionInfo) (key string, known bool) {
	wanted, known := byDefault, false
	for _, id := range messages(q) {
		if wanted, known = answers[id]; known {
			break
		}
	}
	keys := choices(q)
	switch i := int(q.Choice.DefaultIndex); {
	case !known:
		return "", false
	case wanted != byDefault && slices.Contains(keys, wanted):
		return wanted, true
	case i < 0 || i >= len(keys):
		return "", false
	default:
		return keys[i], true
	}
}

// messages are the ids of what the question says. Servers that do not localize have the id at the head of the text.
func messages(q types.VirtualMachineQuestionInfo) []string {
	var ids []string
	for _, m := range q.Message {
		ids = append(ids, m.Id)
	}
	if id, _, found := strings.Cut(q.Text, ":"); found && len(ids) == 0 {
		ids = append(ids, id)
	}
	return ids
}

func choices(q types.VirtualMachineQuestionInfo) []string {
	var keys []string
	for _, c := range q.Choice.ChoiceInfo {
		keys = append(keys, c.GetElementDescription().Key)
	}
	return keys
}

// asked is the question in words, on one line and not too long for one.
func asked(q types.VirtualMachineQuestionInfo) string {
	const longest = 300
	words := strings.Join(strings.Fields(q.Text), " ")
	if words == "" {
		words = strings.Join(messages(q), " ")
	}
	if runes := []rune(words); len(runes) > longest {
		words = string(runes[:longest]) + "…"
	}
	return words
}
