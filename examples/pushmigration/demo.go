package main

import (
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// The demonstration's job clock runs 300 times as fast as real time, at which its migration takes about 15 seconds.
const demoSpeed = 300

var demoTimings = livemigrationtest.Timings{
	Validation:  12 * time.Minute,
	Scheduling:  6 * time.Minute,
	InitialSync: 36 * time.Minute,
	Finishing:   15 * time.Minute,
}

// demoPoll is for the in-memory Atlas only: a real one is not asked that often.
const demoPoll = 400 * time.Millisecond

// openDemo starts the in-memory Atlas with its source side, and points the job to it.
func openDemo(j *job) (func(), error) {
	if used(j.opts.state) {
		return nil, usagef("nothing is configured, so this is a demonstration, and -state %s holds another migration.\n"+
			"If that was a demonstration, its in-memory Atlas is gone: remove the directory, or leave out -state", j.opts.state)
	}
	dir, err := os.MkdirTemp("", "pushmigration-demo-")
	if err != nil {
		return nil, err
	}
	server := livemigrationtest.NewServer(livemigrationtest.WithSpeed(demoSpeed), livemigrationtest.WithTimings(demoTimings),
		livemigrationtest.WithAutoConnect(false))
	end := func() {
		server.Close()
		_ = os.RemoveAll(dir)
	}
	o := j.opts
	o.org, o.project, o.sourceOrg, o.link, o.poll = server.OrgID(), server.ProjectID(), server.SourceOrgID(), true, demoPoll
	if o.state == "" {
		o.state = dir
	}
	j.request = server.SampleRequest()
	j.password, j.request.Source.Password = j.request.Source.Password, ""
	if j.client, err = server.NewClient(j.clientOptions()...); err == nil {
		j.source, err = server.NewSourceClient()
	}
	if err != nil {
		end()
		return nil, err
	}
	j.show.line("Nothing is configured: this is a demonstration, on the in-memory Atlas at\n%s, in which 1 second stands for %d minutes.",
		server.URL(), demoSpeed/60)
	return end, nil
}

// used reports whether a run before has left something in a state directory.
func used(dir string) bool {
	entries, _ := os.ReadDir(dir) // what cannot be read is reported when it is opened
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return e.Name() == tokenName || filepath.Ext(e.Name()) == ".json"
	})
}
