package main

import (
	"os"
	"time"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

const (
	// demoSpeed is how much faster than real time the jobs of the demonstration go.
	demoSpeed = 300
	// demoPoll is for the in-memory Atlas only: do not poll a real one that often.
	demoPoll = 400 * time.Millisecond
)

// openDemo starts the in-memory Atlas with its source side. The state is in a temporary directory: there is nothing to
// continue once the in-memory Atlas has ended.
func (j *job) openDemo() (end func(), err error) {
	if j.state != "" {
		return nil, usagef("nothing is configured, so this is a demonstration, which takes no -state; -h shows what a real migration needs")
	}
	if j.state, err = os.MkdirTemp("", "pushmigration-demo-"); err != nil {
		return nil, err
	}
	server := livemigrationtest.NewServer(livemigrationtest.WithSpeed(demoSpeed), livemigrationtest.WithAutoConnect(false),
		livemigrationtest.WithTimings(livemigrationtest.Timings{
			Validation: 10 * time.Minute, Scheduling: 5 * time.Minute, InitialSync: 30 * time.Minute, Finishing: 10 * time.Minute,
		}))
	end = func() {
		server.Close()
		_ = os.RemoveAll(j.state)
	}
	j.org, j.sourceOrg, j.link, j.poll = server.OrgID(), server.SourceOrgID(), true, demoPoll
	j.plan = durable.Plan{Name: name, ProjectID: server.ProjectID(), Request: server.SampleRequest()}
	source := &j.plan.Request.Source
	j.password, source.Password = source.Password, ""
	if j.client, err = server.NewClient(); err == nil {
		j.source, err = server.NewSourceClient()
	}
	if err != nil {
		end()
		return nil, err
	}
	j.step("nothing is configured: a demonstration on the in-memory Atlas, in which 1 second is %d minutes", demoSpeed/60)
	return end, nil
}
