package vsphere

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
)

// longestTemplate is the longest text with actions in it that is worth evaluating: no longer one fits into a guestinfo value.
const longestTemplate = guestinfoLimit

// templateFields are the names after the dot.
var templateFields = []string{"Name", "Pool", "Short", "ID"}

// templateFunctions leave out those whose result can be several times as long as what they are given (html, js, urlquery, print).
var templateFunctions = []string{"and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len", "slice", "printf"}

// plainFormat are the formats of printf that add no more than a few bytes to what they are given.
var plainFormat = regexp.MustCompile(`^([^%]|%%|%-?0?[0-9]{0,2}(\.[0-9]{0,2})?[sdv])*$`)

// parseTemplate reads a template that whoever may post a configuration has written. Go's templates are a programming language, with which
// a few bytes can keep a processor busy for ever or fill the memory. What is accepted here has no loops, no variables and no templates
// within templates: every action is taken once at most, and makes at most a small multiple of the text and the machine's names.
func parseTemplate(text string) (*template.Template, error) {
	if len(text) > longestTemplate {
		return nil, fmt.Errorf("it is longer than %d bytes", longestTemplate)
	}
	t, err := template.New("").Parse(text)
	if err != nil {
		return nil, errors.New(plainReason(err))
	}
	if len(t.Templates()) > 1 {
		return nil, errors.New("it must not define templates")
	}
	if t.Tree == nil {
		return t, nil
	}
	return t, allowed(t.Root)
}

// positions are how Go's errors begin: "template: :1: ", "template: :1:2: executing "" at <.X>: ".
var positions = regexp.MustCompile(`^template: :\d+:(\d+:)? (executing "" at <.*>: )?`)

// plainReason is a template's error without what means something only to the programmer who called the package.
func plainReason(err error) string {
	return positions.ReplaceAllString(err.Error(), "")
}

func allowed(node parse.Node) error {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil { // there is no else
			return nil
		}
		return eachAllowed(n.Nodes)
	case *parse.TextNode, *parse.CommentNode, *parse.DotNode, *parse.StringNode, *parse.NumberNode, *parse.BoolNode:
		return nil
	case *parse.ActionNode:
		return allowedPipe(n.Pipe)
	case *parse.IfNode:
		return allowedBranch(&n.BranchNode)
	case *parse.WithNode:
		return allowedBranch(&n.BranchNode)
	case *parse.PipeNode:
		return allowedPipe(n)
	case *parse.CommandNode:
		return allowedCommand(n)
	case *parse.FieldNode:
		return allowedField(n.Ident)
	default:
		return fmt.Errorf("it must not have %.40s", strings.TrimSpace(node.String()))
	}
}

func eachAllowed[N parse.Node](nodes []N) error {
	for _, n := range nodes {
		if err := allowed(n); err != nil {
			return err
		}
	}
	return nil
}

func allowedBranch(n *parse.BranchNode) error {
	return cmp.Or(allowedPipe(n.Pipe), allowed(n.List), allowed(n.ElseList))
}

func allowedPipe(n *parse.PipeNode) error {
	if len(n.Decl) > 0 {
		return fmt.Errorf("it must not have the variable %.40s", n.Decl[0])
	}
	return eachAllowed(n.Cmds)
}

func allowedCommand(n *parse.CommandNode) error {
	if function, ok := n.Args[0].(*parse.IdentifierNode); ok {
		if err := allowedFunction(function.Ident, n.Args[1:]); err != nil {
			return err
		}
		return eachAllowed(n.Args[1:])
	}
	return eachAllowed(n.Args)
}

func allowedFunction(name string, arguments []parse.Node) error {
	if !slices.Contains(templateFunctions, name) {
		return fmt.Errorf("it must not call %s", name)
	}
	if name != "printf" {
		return nil
	}
	if len(arguments) > 0 {
		if format, ok := arguments[0].(*parse.StringNode); ok && plainFormat.MatchString(format.Text) {
			return nil
		}
	}
	return errors.New("printf needs a format in quotes, with %s, %d, %v and widths below 100 only")
}

func allowedField(path []string) error {
	if len(path) == 1 && slices.Contains(templateFields, path[0]) {
		return nil
	}
	return fmt.Errorf("there is no {{.%.40s}}", strings.Join(path, "."))
}
