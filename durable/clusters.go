package durable

import "fmt"

// clusters are those that records have, each with the name of its record.
type clusters map[string]string

func newClusters(records []Record) clusters {
	taken := make(clusters, 2*len(records))
	for _, r := range records {
		if r.keepsClusters() {
			taken[r.Plan.sourceCluster()], taken[r.Plan.destinationCluster()] = r.Plan.Name, r.Plan.Name
		}
	}
	return taken
}

// keepsClusters reports whether no other record may have the clusters. One that is COMPLETE keeps them: a second migration
// could destroy what the first one brought.
func (r *Record) keepsClusters() bool {
	return r.State != StateFailed && r.State != StateExpired && r.State != StateAbandoned
}

// take gives a plan its clusters, unless another one has them.
func (c clusters) take(what string, plan Plan) error {
	names := []string{plan.sourceCluster(), plan.destinationCluster()}
	for _, cluster := range names {
		if other, taken := c[cluster]; taken {
			return fmt.Errorf("durable: %s %q: %q has the %s: %w", what, plan.Name, other, cluster, ErrConflict)
		}
	}
	for _, cluster := range names {
		c[cluster] = plan.Name
	}
	return nil
}

// explainWaits says of records that could go on which other one has what they need. It is not stored.
func explainWaits(records []Record) []Record {
	holders := make(map[string]*Record)
	for i := range records {
		r := &records[i]
		for _, name := range r.held() {
			holders[name] = r
		}
	}
	for i := range records {
		r := &records[i]
		if !r.wantsToStart() || r.Problem != "" {
			continue
		}
		for _, name := range r.Plan.resources() {
			if holder := holders[name]; holder != nil && holder != r {
				r.Problem = fmt.Sprintf("waits for the %s, which %s has (%s)", name, holder.Plan.Name, holder.State)
				break
			}
		}
	}
	return records
}

// wantsToStart reports whether a record asks for what serves one migration at a time.
func (r *Record) wantsToStart() bool {
	return r.Begun == ActionNone && (r.State == StatePlanned || r.State == StateValidated)
}

// starts reports whether the next action of a record starts something in Atlas.
func (r *Record) starts() bool {
	next := r.Next()
	return next == ActionValidate || next == ActionCreate
}

// mayRun reports whether something of the record runs, or may run, in Atlas.
func (r *Record) mayRun() bool {
	switch r.State {
	case StateValidating, StateReplicating, StateReady, StateFinishing, StateUnclear:
		return true
	default:
		return !r.State.Final() && r.Begun.Changes()
	}
}

// held is what nobody else may have because of the record.
func (r *Record) held() []string {
	switch {
	case r.mayRun():
		return r.Plan.resources()
	case r.State == StateComplete:
		return []string{r.Plan.destinationCluster(), r.Plan.sourceCluster()}
	default:
		return nil
	}
}
