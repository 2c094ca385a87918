package durable

import (
	"fmt"
	"maps"
	"time"
)

// clusters maps each cluster to the name of its record.
type clusters map[string]string

// takenClusters returns the clusters that no other record may have. COMPLETE keeps its destination, because a second migration
// could delete the data.
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

func (c clusters) except(name string) clusters {
	maps.DeleteFunc(c, func(_, owner string) bool { return key(owner) == key(name) })
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

// explainWaits sorts records by name, and sets the Problem of PLANNED and VALIDATED ones.
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

// startProblem says what a PLANNED or VALIDATED record waits for; nil if it waits for nothing but the limit.
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
