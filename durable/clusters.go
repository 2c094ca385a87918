package durable

import (
	"fmt"
	"time"
)

// clusters are those that records have, each with the name of its record.
type clusters map[string]string

// takenClusters are the clusters that no other record may have. COMPLETE keeps its destination: a second migration could
// destroy what the first one brought.
func takenClusters(records []Record) clusters {
	taken := make(clusters, 2*len(records))
	for _, r := range records {
		over := r.State == StateFailed || r.State == StateExpired || r.State == StateAbandoned
		if over && r.Begun == nil {
			continue
		}
		taken[r.Plan.destinationCluster()] = r.Plan.Name
		if r.State != StateComplete {
			taken[r.Plan.sourceCluster()] = r.Plan.Name
		}
	}
	return taken
}

// except leaves out the clusters of one record.
func (c clusters) except(name string) clusters {
	for cluster, owner := range c {
		if key(owner) == key(name) {
			delete(c, cluster)
		}
	}
	return c
}

// take gives a plan its clusters, unless another one has them.
func (c clusters) take(plan Plan) error {
	names := []string{plan.destinationCluster(), plan.sourceCluster()}
	for _, cluster := range names {
		if other, taken := c[cluster]; taken {
			return fmt.Errorf("%q has the %s: %w", other, cluster, ErrConflict)
		}
	}
	for _, cluster := range names {
		c[cluster] = plan.Name
	}
	return nil
}

// explainWaits says of the records that could start what they wait for, and sorts all by name.
func explainWaits(records []Record) []Record {
	now := time.Now()
	sortByName(records)
	holders := make(map[string]*Record)
	for i := range records {
		for _, name := range records[i].held() {
			holders[name] = &records[i]
		}
	}
	for i := range records {
		if r := &records[i]; r.Problem == nil && r.Begun == nil {
			r.Problem = r.startProblem(holders, now)
		}
	}
	return records
}

// startProblem is what a PLANNED or VALIDATED record waits for; nil when that is nothing, or only its turn.
func (r *Record) startProblem(holders map[string]*Record, now time.Time) *Problem {
	if r.State != StatePlanned && r.State != StateValidated {
		return nil
	}
	if p := r.gateProblem(now); p != nil {
		return p
	}
	for _, name := range r.Plan.needs(r.startAction()) {
		if holder := holders[name]; holder != nil && holder != r {
			return &Problem{
				Kind: ProblemWaitingForOther, Since: r.UpdatedAt,
				Text: fmt.Sprintf("waits for the %s: %s has it and is %s", name, holder.Plan.Name, holder.State),
			}
		}
	}
	return nil
}

// startAction is the action with which a PLANNED or VALIDATED record goes on.
func (r *Record) startAction() Action {
	for _, action := range []Action{ActionValidate, ActionCreate} {
		if changesIn[action] == r.State {
			return action
		}
	}
	return ActionNone
}
