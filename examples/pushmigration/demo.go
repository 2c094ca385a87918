package main

import (
	"os"
	"path/filepath"
	"time"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// The demonstration's job clock runs 300 times as fast as real time, at which its migration takes about 15 seconds and
// stays ready for cutover for 24 minutes.
const demoSpeed = 300

var demoTimings = livemigrationtest.Timings{
	Validation:  12 * time.Minute,
	Scheduling:  6 * time.Minute,
	InitialSync: 36 * time.Minute,
	Finishing:   15 * time.Minute,
}

// demoPoll is for the Atlas in memory only: a real one is not asked that often.
const demoPoll = 400 * time.Millisecond

// startDemo starts an Atlas in memory, and points the options to it.
func startDemo(opts *options) (*target, error) {
	dir, err := os.MkdirTemp("", "pushmigration-demo-")
	if err != nil {
		return nil, err
	}
	server := livemigrationtest.NewServer(livemigrationtest.WithSpeed(demoSpeed), livemigrationtest.WithTimings(demoTimings))
	opts.baseURL, opts.org, opts.project = server.URL(), server.OrgID(), server.ProjectID()
	if opts.tokenFile == "" {
		opts.tokenFile = filepath.Join(dir, "link-token")
	}
	if len(opts.accessList) == 0 {
		opts.accessList = []string{"192.0.2.0/24"}
	}
	if opts.poll == 0 {
		opts.poll = demoPoll
	}
	return &target{
		credentials: server.Credentials(),
		request:     server.Request(),
		close: func() {
			server.Close()
			_ = os.RemoveAll(dir)
		},
	}, nil
}
