package livemigrationtest

import "time"

// ClusterScript says what happens to the jobs of one cluster. [Server.ForCluster] returns one.
type ClusterScript struct {
	server *Server
	name   string
}

// ForCluster aims at one cluster what otherwise hits the next request or job, whichever it is. A request or job is of
// the cluster when its source or its destination has the name; the empty name stands for every cluster.
//
//	srv.ForCluster("orders").Inject(livemigrationtest.CreateMigration, livemigrationtest.Status(503), 1)
//	srv.ForCluster("events").FailNextMigration()
func (s *Server) ForCluster(name string) ClusterScript { return ClusterScript{server: s, name: name} }

// Inject makes requests about the cluster's jobs fail, as [Server.Inject] does: those that create a job for it, and
// those that are about such a job. Requests about no job, such as those for a link-token, are never among them. A
// request that creates a job names the cluster in its body, so a fault strikes after the body was read.
func (c ClusterScript) Inject(op Operation, f Fault, times int) {
	c.server.inject(injection{operation: op, cluster: c.name, fault: f, pass: f.after, left: times})
}

// FailNextValidation makes the cluster's next validation fail, as [Server.FailNextValidation] does. Both use one queue.
func (c ClusterScript) FailNextValidation(message string) {
	c.server.state.mu.Lock()
	defer c.server.state.mu.Unlock()
	c.server.state.nextValidations = append(c.server.state.nextValidations, aimed[string]{c.name, message})
}

// FailNextMigration makes the cluster's next migration fail, as [Server.FailNextMigration] does. Both use one queue.
func (c ClusterScript) FailNextMigration() {
	c.scriptNext(func(m *migration) { m.failing = true })
}

// HoldNextMigration holds the cluster's next migration, as [Server.HoldNextMigration] does. Both use one queue.
func (c ClusterScript) HoldNextMigration(lag time.Duration) {
	c.scriptNext(func(m *migration) { m.hold = &hold{at: c.server.state.timings.Scheduling, lag: lag} })
}

func (c ClusterScript) scriptNext(script func(*migration)) {
	c.server.state.mu.Lock()
	defer c.server.state.mu.Unlock()
	c.server.state.nextMigrations = append(c.server.state.nextMigrations, aimed[func(*migration)]{c.name, script})
}
