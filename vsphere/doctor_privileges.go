package vsphere

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

// The scopes without privileges of their own.
const (
	// onMachine is one of the pool's machines, for which the folder's privileges count.
	onMachine Scope = "machine"
	onHost    Scope = "host"
)

// authorizers ask for the account's privileges on many objects in one call, the best way first. The others are for accounts and
// versions that the first one is refused to.
var authorizers = []func(*examination, context.Context, types.ManagedObjectReference) error{
	(*examination).fetchPrivileges, (*examination).askForUser, (*examination).askForSession,
}

// readPrivileges asks until one way works; only vCenter out of reach ends it early.
func (e *examination) readPrivileges(ctx context.Context) error {
	e.allowed = map[types.ManagedObjectReference][]string{}
	manager := e.c.vim.ServiceContent.AuthorizationManager
	if manager == nil || e.account == "" {
		return &Error{Kind: Unknown, Err: errors.New("vCenter does not say who is logged in")}
	}
	var first error
	for _, ask := range authorizers {
		err := wrap("read privileges of", e.account, ask(e, ctx, *manager))
		if err == nil {
			err = e.plausible()
		}
		if err == nil || KindOf(err) == Unreachable {
			return err
		}
		first = cmp.Or(first, err)
	}
	return first
}

// plausible is an error if the account is said to have no privilege at all, with which it could not have come this far: vCenter has not
// recognized the form of its name.
func (e *examination) plausible() error {
	for _, list := range e.allowed {
		if len(list) > 0 {
			return nil
		}
	}
	clear(e.allowed)
	return &Error{Op: "read privileges of", Object: e.account, Err: errors.New("vCenter knows of none")}
}

func (e *examination) entities() []types.ManagedObjectReference {
	var refs []types.ManagedObjectReference
	for _, t := range e.targets {
		if !slices.Contains(refs, t.ref) {
			refs = append(refs, t.ref)
		}
	}
	return refs
}

// fetchPrivileges asks for all privileges of the user.
func (e *examination) fetchPrivileges(ctx context.Context, manager types.ManagedObjectReference) error {
	res, err := methods.FetchUserPrivilegeOnEntities(ctx, e.c.vim, &types.FetchUserPrivilegeOnEntities{
		This: manager, Entities: e.entities(), UserName: e.account,
	})
	if err != nil {
		return err
	}
	for _, r := range res.Returnval {
		e.allowed[r.Entity] = r.Privileges
	}
	return nil
}

// askForUser asks for those that matter.
func (e *examination) askForUser(ctx context.Context, manager types.ManagedObjectReference) error {
	res, err := methods.HasUserPrivilegeOnEntities(ctx, e.c.vim, &types.HasUserPrivilegeOnEntities{
		This: manager, Entities: e.entities(), UserName: e.account, PrivId: ids(privileges),
	})
	if err != nil {
		return err
	}
	e.learn(res.Returnval)
	return nil
}

// askForSession asks the same of the session, which knows its user.
func (e *examination) askForSession(ctx context.Context, manager types.ManagedObjectReference) error {
	res, err := methods.HasPrivilegeOnEntities(ctx, e.c.vim, &types.HasPrivilegeOnEntities{
		This: manager, Entity: e.entities(), SessionId: e.key, PrivId: ids(privileges),
	})
	if err != nil {
		return err
	}
	e.learn(res.Returnval)
	return nil
}

func (e *examination) learn(answers []types.EntityPrivilege) {
	for _, answer := range answers {
		e.allowed[answer.Entity] = []string{}
		for _, p := range answer.PrivAvailability {
			if p.IsGranted {
				e.allowed[answer.Entity] = append(e.allowed[answer.Entity], p.PrivId)
			}
		}
	}
}

// ids are the privileges' names, each once.
func ids(list []Privilege) []string {
	var out []string
	for _, p := range list {
		if !slices.Contains(out, p.ID) {
			out = append(out, p.ID)
		}
	}
	return out
}

// checkPrivileges makes one finding per object for the privileges that it takes and one for those that the pool can do without.
func checkPrivileges(e *examination) []Finding {
	if len(e.allowed) == 0 { // readPrivileges has said why
		return nil
	}
	var out []Finding
	list := needed(e.template, e.premises())
	for _, t := range e.targets {
		lacking := slices.DeleteFunc(e.wanted(t, list), func(p Privilege) bool { return slices.Contains(e.allowed[t.ref], p.ID) })
		out = append(out, e.lacks(t, lacking, false)...)
		out = append(out, e.lacks(t, lacking, true)...)
	}
	if len(out) == 0 {
		return fine("privileges", e.account, fmt.Sprintf("the account %s has all privileges that the pool needs", e.account))
	}
	return out
}

// premises are what vCenter showed of what decides which privileges are needed.
func (e *examination) premises() premises {
	var p premises
	for _, source := range e.on(OnTemplate) {
		o := e.seen[source.ref]
		p.template = value[bool](o, "config.template")
		p.vm = !p.template
		p.encrypted, p.vApp = has(o, "config.keyId"), has(o, "config.vAppConfig")
	}
	return p
}

// wanted are the privileges that count for a target. For a machine they are the folder's lasting ones that are in order on the folder
// itself: anything else was said of that.
func (e *examination) wanted(t target, list []Privilege) []Privilege {
	return slices.DeleteFunc(slices.Clone(list), func(p Privilege) bool {
		if t.on == onMachine {
			return p.On != OnFolder || !p.lasting || !slices.Contains(e.allowed[e.c.place.folder], p.ID)
		}
		return p.On != t.on
	})
}

// lacks is the finding that privileges are missing on an object.
func (e *examination) lacks(t target, lacking []Privilege, optional bool) []Finding {
	lacking = slices.DeleteFunc(slices.Clone(lacking), func(p Privilege) bool { return p.Optional() != optional })
	if len(lacking) == 0 {
		return nil
	}
	object, names, severity := strings.TrimSpace(string(t.on)+" "+e.name(t)), strings.Join(ids(lacking), ", "), Failure
	if t.on == OnRoot {
		object = "the vCenter root"
	}
	if optional {
		severity = Warning
	}
	return []Finding{{
		Check: "privileges", Object: object, Severity: severity,
		Message: fmt.Sprintf("the account %s lacks %s on %s: the pool cannot %s", e.account, names, object, consequences(lacking)),
		Remedy:  e.grant(t, object, names),
	}}
}

// consequences are what the pool cannot do, each said once.
func consequences(lacking []Privilege) string {
	var out []string
	for _, p := range lacking {
		text := p.For
		if p.Otherwise != "" {
			text += " (" + p.Otherwise + ")"
		}
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, ", ")
}

func (e *examination) grant(t target, object, names string) string {
	switch {
	case t.on == onMachine:
		return "let the permission on folder " + e.template.Folder + " propagate to what is in it, and see whether the machine has one of its own"
	case t.on.Propagated():
		return fmt.Sprintf("give %s a role with %s on %s, propagated to what is below it", e.account, names, object)
	}
	return fmt.Sprintf("give %s a role with %s on %s", e.account, names, object)
}

// has says whether a property is set.
func has(o types.ObjectContent, name string) bool {
	return slices.ContainsFunc(o.PropSet, func(p types.DynamicProperty) bool { return p.Name == name })
}
