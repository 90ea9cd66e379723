package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"vspherepool/api"
)

// newUser makes the commands for users files. Their flags have no environment variables: what they say is about one user only.
func newUser(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Maintain a users file",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newUserAdd(p), &cobra.Command{
		Use: "remove FILE NAME", Short: "Remove a user; a running server notices within a second", Args: cobra.ExactArgs(2),
		RunE: runs(func(_ context.Context, args []string) error { return removeUser(p, args[0], args[1]) }),
	}, &cobra.Command{
		Use: "list FILE", Short: "List the users of a file", Args: cobra.ExactArgs(1),
		RunE: runs(func(_ context.Context, args []string) error { return listUsers(p, args[0]) }),
	})
	return cmd
}

// addition is what `user add` is told.
type addition struct {
	file, name, role, expires   string
	token, certificate, replace bool
}

func newUserAdd(p process) *cobra.Command {
	var a addition
	cmd := &cobra.Command{
		Use: "add FILE NAME", Short: "Add a user with a password, a token or a client certificate; the file is made if need be",
		Args: cobra.ExactArgs(2),
		RunE: runs(func(ctx context.Context, args []string) error {
			a.file, a.name = args[0], args[1]
			return addUser(ctx, p, a)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&a.role, "role", "", "`role` (default viewer, or what the user had)")
	flags.StringVar(&a.expires, "expires", "", "`end` of the user's time: 2027-06-30, a time, 90d, or never (default never, or as it was)")
	flags.BoolVar(&a.token, "token", false, "make a token and print it; without, a password is asked for, or read from standard input")
	flags.BoolVar(&a.certificate, "certificate", false, "the user has a client certificate: NAME is its common name, or its whole subject")
	flags.BoolVar(&a.replace, "replace", false, "change a user who is there already")
	cmd.MarkFlagsMutuallyExclusive("token", "certificate")
	return cmd
}

func addUser(ctx context.Context, p process, a addition) error {
	present, err := readUsers(p, a.file)
	if err != nil {
		return err
	}
	user, err := a.user(present)
	if err != nil {
		return err
	}
	token := ""
	switch {
	case a.certificate:
		user.Secret = api.CertificateSecret
	case a.token:
		token, user.Secret = api.NewToken()
	default:
		user.Secret, err = newPassword(ctx, p)
	}
	if err != nil {
		return err
	}
	err = editUsers(p, a.file, func(users *api.Users) error {
		if _, err := a.user(users); err != nil { // somebody else was faster
			return err
		}
		return users.Put(user)
	})
	if err != nil || token == "" {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, token)
	return err
}

// user is what the user will be, but for the secret. What is not said stays as it was.
func (a addition) user(present *api.Users) (api.User, error) {
	user, there := present.Find(a.name)
	if there && !a.replace {
		return user, &failure{exitRefused, fmt.Errorf("%s is there already: change it with --replace", a.name)}
	}
	user.Name = a.name
	if a.role != "" {
		user.Role = a.role
	}
	if user.Role == "" {
		user.Role = "viewer"
	}
	if err := among(&user.Role, api.Roles()...)(); err != nil {
		return user, usage("--role %w", err)
	}
	expires, err := endOf(a.expires, user.Expires, time.Now())
	if err != nil {
		return user, usage("--expires: %w", err)
	}
	user.Expires = expires
	return user, nil
}

var days = regexp.MustCompile(`^(\d{1,5})d$`)

// endOf reads --expires.
func endOf(text string, before, now time.Time) (time.Time, error) {
	switch text {
	case "":
		return before, nil
	case "never":
		return time.Time{}, nil
	}
	if m := days.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1])
		return now.UTC().Truncate(time.Second).AddDate(0, 0, n), nil
	}
	return api.ParseExpiry(text)
}

func removeUser(p process, file, name string) error {
	certificate := false
	err := editUsers(p, file, func(users *api.Users) error {
		user, _ := users.Find(name)
		certificate = user.Kind() == api.CertificateUser
		if !users.Remove(name) {
			return &failure{exitNotFound, fmt.Errorf("there is no user %s in %s", name, file)}
		}
		return nil
	})
	if err == nil && certificate {
		fmt.Fprintf(p.stderr, "the certificate of %s has the role of serve's --client-role now: nobody, unless you said otherwise\n", name)
	}
	return err
}

func listUsers(p process, file string) error {
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("list users: %w", err)
	}
	users, err := readUsers(p, file)
	if err != nil {
		return err
	}
	l := listing{header: []string{"NAME", "BY", "ROLE", "EXPIRES"}}
	for _, u := range users.List() {
		role, expires := u.Role, ""
		if role == "" {
			role = "viewer"
		}
		if !u.Expires.IsZero() {
			expires = u.Expires.Format(time.RFC3339)
		}
		if expires != "" && u.Expires.Before(time.Now()) {
			expires += " (over)"
		}
		l.rows = append(l.rows, []string{u.Name, u.Kind(), role, expires})
	}
	return printer{p.stdout, "table"}.print(l)
}

var errPasswordsDiffer = errors.New("the two passwords are not the same; nothing was done")
