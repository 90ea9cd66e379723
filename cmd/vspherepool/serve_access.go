package main

import (
	"errors"
	"strings"

	"vspherepool/api"
)

// accessTable are the options about who may use the API.
func (o *serveOptions) accessTable() []option {
	return []option{
		{
			flag: "users", value: &o.users,
			help: "`file` of the users with their passwords, tokens and roles, reloaded when it changes; vspherepool user writes it",
		},
		{
			flag: "client-ca", value: &o.clientCA,
			help: "ask for client certificates signed by an authority in this PEM `file`, reloaded when it changes",
		},
		{
			flag: "client-auth", value: &o.clientAuth, check: o.checkClientAuth,
			help: "`mode` of --client-ca: require certificates of everybody, or request them, and let --users in without",
		},
		{
			flag: "client-role", value: &o.clientRole, check: o.checkClientRole, otherwise: "nobody; admin without --users",
			help: "`role` of client certificates that --users does not name: " + strings.Join(api.Roles(), ", "),
		},
		{
			flag: "audit-log", value: &o.auditLog, otherwise: "the log, under the message audit",
			help: "`file` to append a line of JSON to for each change, and each refused one; made anew when it was moved away",
		},
	}
}

func (o *serveOptions) checkClientAuth() error {
	switch {
	case o.clientAuth == "require":
		return nil
	case o.clientAuth != "request":
		return errors.New("must be require or request")
	case o.clientCA == "" || o.users == "":
		return errors.New("request needs both --client-ca and --users: it lets users in without a certificate")
	}
	return nil
}

func (o *serveOptions) checkClientRole() error {
	switch {
	case o.clientRole == "":
		return nil
	case o.clientCA == "":
		return errors.New("needs --client-ca")
	}
	return among(&o.clientRole, api.Roles()...)()
}
