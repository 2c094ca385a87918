package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/livemigration/livemigration-go"
)

// rest says what a run that did not come to its end leaves behind, and how to go on.
func (r *runner) rest(err error) string {
	var b strings.Builder
	b.WriteString(r.unknownRest())
	switch {
	case r.opts.demo:
		if r.running() {
			b.WriteString("The Atlas in memory ends with this program, and its migration too: there is nothing to resume.\n")
		}
	case r.running() && !errors.Is(err, livemigration.ErrNotFound):
		fmt.Fprintf(&b, "Migration %s goes on in Atlas. With the same credentials in the environment,\nthis goes on with it:\n\n  %s\n",
			r.migration, command(r.resumeArgs()))
		if r.linkToken {
			fmt.Fprintf(&b, "\nThe link-token still exists, and has to until the migration is complete: that command then deletes %s.\n", r.tokenAndFile())
		}
	case r.linkToken:
		b.WriteString(r.linkTokenRest())
	}
	return b.String()
}

// linkTokenRest is about a link-token that no migration of this run needs.
func (r *runner) linkTokenRest() string {
	further := "add -delete-link-token"
	if len(r.opts.accessList) > 0 {
		further += " and leave -access-list out"
	}
	return fmt.Sprintf("The link-token still exists. To use it for a further run, %s.\n"+
		"If nothing is to be migrated any more, this deletes %s:\n\n  %s\n", further, r.tokenAndFile(), command(r.deleteArgs()))
}

func (r *runner) tokenAndFile() string {
	if r.tokenFile == "" {
		return "it"
	}
	return "it and " + r.tokenFile
}

// unknownRest says what to look for by hand after a request whose outcome is unknown.
func (r *runner) unknownRest() string {
	switch {
	case r.opts.demo || r.unanswered == nothing:
		return ""
	case r.running():
		return "The cutover may have begun. What follows finds out, and asks again if it has not.\n"
	case r.unanswered == createToken:
		return fmt.Sprintf("Check by hand, in Atlas, whether organization %s has a link-token now. If so, delete %s before you try again:\n\n  %s\n",
			r.opts.org, r.tokenAndFile(), command(r.deleteArgs()))
	default:
		return fmt.Sprintf("Check by hand, in Atlas, whether cluster %s of project %s is the destination of a live migration now:\n"+
			"  - If so, take its id from there and go on with it: %s\n"+
			"  - If not, nothing was started, and the same command may be run again.\n"+
			"Do not start it again before you know: Atlas would run two migrations.\n",
			r.request.Destination.ClusterName, r.opts.project, command(append(r.resumeArgs(), "-resume", "ID")))
	}
}

// resumeArgs are the arguments with which another run goes on with the migration. A limit of time is not among them:
// one that was too short would be so again.
func (r *runner) resumeArgs() []string {
	args := append(r.connectionArgs(), "-project", string(r.opts.project))
	if r.migration != "" {
		args = append(args, "-resume", string(r.migration))
	}
	if r.linkToken {
		args = append(args, r.tokenArgs()...)
	}
	if r.opts.yes {
		args = append(args, "-yes")
	}
	if r.opts.poll > 0 {
		args = append(args, "-poll", r.opts.poll.String())
	}
	if r.opts.debugLog != "" {
		args = append(args, "-debug-log", r.opts.debugLog)
	}
	return args
}

// deleteArgs are the arguments with which another run deletes the link-token.
func (r *runner) deleteArgs() []string {
	args := append(r.connectionArgs(), r.tokenArgs()...)
	if r.opts.yes {
		args = append(args, "-yes")
	}
	return args
}

func (r *runner) tokenArgs() []string {
	args := []string{"-org", string(r.opts.org), "-delete-link-token"}
	if r.tokenFile != "" {
		args = append(args, "-token-file", r.tokenFile)
	}
	return args
}

func (r *runner) connectionArgs() []string {
	var args []string
	if r.opts.baseURL != "" {
		args = append(args, "-base-url", r.opts.baseURL)
	}
	if r.opts.version != livemigration.APIv2 {
		args = append(args, "-api-version", r.opts.version.String())
	}
	return args
}

// command is a line for a shell that runs this program with other arguments.
func command(args []string) string {
	words := append(program(), args...)
	for i, word := range words {
		words[i] = quote(word)
	}
	return strings.Join(words, " ")
}

// program is how this program was called. What go run builds is gone when it ends.
func program() []string {
	path := filepath.ToSlash(os.Args[0])
	info, ok := debug.ReadBuildInfo()
	if !ok || !strings.Contains(path, "/go-build") || !strings.Contains(path, "/exe/") {
		return []string{os.Args[0]}
	}
	words := []string{"go", "run"}
	if dir, err := os.Getwd(); err == nil {
		words = append(words, "-C", dir)
	}
	return append(words, info.Path)
}

// quote makes a word that a POSIX shell takes as it is.
func quote(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@%+,"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
