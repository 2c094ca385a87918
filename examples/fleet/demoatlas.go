package main

import (
	"encoding/csv"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

const (
	demoMigrations = 40
	demoHosts      = 6
	// crashAt is the creation of whose response nobody learns.
	crashAt = 12
	// demoHour is how many seconds of the job clock pass in one of the demo: an hour.
	demoHour = 3600
)

// demoAtlas is an in-memory Atlas that can be away, and behind which the worker can be killed.
type demoAtlas struct {
	*livemigrationtest.Server
	site *http.Server
	url  string

	away    atomic.Bool
	created atomic.Int32
	crash   func() // is called when the creation crashAt has been carried out
}

// newDemoAtlas starts the server. There is a source organization for each host, and each does one migration at a time.
func newDemoAtlas(speed float64, crash func()) (*demoAtlas, error) {
	projects := make([]livemigration.AvailableProject, demoHosts)
	for i := range projects {
		projects[i] = livemigration.AvailableProject{
			Name: fmt.Sprintf("Estate %d", i+1), ProjectID: livemigration.ProjectID(fmt.Sprintf("5c7e8f90f1ee7000000%05x", i+1)),
			MigrationHosts: []string{fmt.Sprintf("host-%d.example.com", i+1)},
		}
	}
	for n := range demoMigrations {
		project := &projects[n%demoHosts]
		project.Deployments = append(project.Deployments, livemigration.Deployment{Name: sourceCluster(n), Managed: true, TLSEnabled: true})
	}
	opts := []livemigrationtest.Option{
		livemigrationtest.WithSpeed(demoHour * speed), livemigrationtest.WithOneAtATime(),
		livemigrationtest.WithSourceProjects(projects[0]),
		livemigrationtest.WithTimings(livemigrationtest.Timings{
			Validation: 15 * time.Minute, Scheduling: 15 * time.Minute, InitialSync: 75 * time.Minute, Finishing: 15 * time.Minute,
		}),
	}
	for _, project := range projects[1:] {
		opts = append(opts, livemigrationtest.WithSourceOrganization(project))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &demoAtlas{Server: livemigrationtest.NewServer(opts...), url: "http://" + listener.Addr().String(), crash: crash}
	a.site = &http.Server{Handler: a, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = a.site.Serve(listener) }() // until close
	return a, nil
}

func (a *demoAtlas) close() {
	_ = a.site.Close()
	a.Server.Close()
}

// ServeHTTP is what stands before the server.
func (a *demoAtlas) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	creates := r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/liveMigrations")
	if a.away.Load() {
		if creates { // a gateway says so of what it has certainly not passed on
			w.Header().Set("Retry-After", "1")
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if !creates || r.Header.Get("Authorization") == "" || a.created.Load() >= crashAt {
		a.Handler().ServeHTTP(w, r)
		return
	}
	response := httptest.NewRecorder()
	a.Handler().ServeHTTP(response, r)
	if response.Code == http.StatusCreated && a.created.Add(1) == crashAt {
		a.crash()
		panic(http.ErrAbortHandler) // the connection breaks; net/http expects this
	}
	for name, values := range response.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(response.Code)
	_, _ = w.Write(response.Body.Bytes())
}

// environment is that of a tool which uses the server, and no other Atlas.
func (a *demoAtlas) environment() (env []string) {
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "MONGODB_ATLAS_") {
			env = append(env, variable)
		}
	}
	public, private := a.APIKey()
	return append(env, "MONGODB_ATLAS_BASE_URL="+a.url, "MONGODB_ATLAS_PUBLIC_API_KEY="+public,
		"MONGODB_ATLAS_PRIVATE_API_KEY="+private.Reveal())
}

// writePlans writes the CSV file of the demo. One migration destroys what is in its destination.
func (a *demoAtlas) writePlans(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	rows := [][]string{{"name", "project", "source_project", "source_cluster", "destination_cluster", "host", "managed", "ssl", "drop", "exclusive"}}
	for n := range demoMigrations {
		host := n%demoHosts + 1
		drop := "no"
		if n == dropped {
			drop = "yes"
		}
		rows = append(rows, []string{
			demoName(n), string(a.ProjectID()), fmt.Sprintf("5c7e8f90f1ee7000000%05x", host), sourceCluster(n), demoName(n),
			fmt.Sprintf("host-%d.example.com", host), "yes", "yes", drop, fmt.Sprintf("estate-%d", host),
		})
	}
	err = csv.NewWriter(file).WriteAll(rows)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}

// dropped is the migration that needs an approval of its start.
const dropped = 7

func demoName(n int) string { return fmt.Sprintf("db-%02d", n+1) }

func sourceCluster(n int) string { return demoName(n) + "-old" }
