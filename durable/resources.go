package durable

import "fmt"

// Resources names what serves one migration at a time: the destination cluster, the source cluster, the migration hosts, the
// source project (unless Parallel is set) and the names in Exclusive, in this order. The same resource always has the same
// name. A record has its clusters and hosts from the validation to the end, except while it is VALIDATED and waits, and the
// rest from the create request on.
func (p Plan) Resources() []string { return p.needs(ActionCreate) }

func (p Plan) needs(a Action) []string {
	if a != ActionValidate && a != ActionCreate {
		return nil
	}
	names := make([]string, 0, 3+len(p.Request.MigrationHosts)+len(p.Exclusive))
	names = append(names, p.destinationCluster(), p.sourceCluster())
	for _, host := range p.Request.MigrationHosts {
		names = append(names, "migration host "+foldHost(host))
	}
	if a == ActionValidate {
		return names
	}
	if !p.Parallel {
		names = append(names, "source project "+string(p.Request.Source.ProjectID))
	}
	for _, name := range p.exclusiveSet() {
		names = append(names, "exclusive name "+name)
	}
	return names
}

func (p Plan) sourceCluster() string {
	return fmt.Sprintf("source cluster %s of project %s", fold(p.Request.Source.ClusterName), p.Request.Source.ProjectID)
}

func (p Plan) destinationCluster() string {
	return fmt.Sprintf("destination cluster %s of project %s", fold(p.Request.Destination.ClusterName), p.ProjectID)
}

// held returns the resources that the record has. COMPLETE keeps the destination, as in takenClusters.
func (r *Record) held() []string {
	switch {
	case r.State == StateComplete:
		return []string{r.Plan.destinationCluster()}
	case r.State == StateUnclear || r.State.hasJob():
		return r.Plan.needs(ActionCreate)
	case r.State == StateValidating:
		return r.Plan.needs(ActionValidate)
	case r.State.Final() || r.Begun == nil:
		return nil
	default:
		return r.Plan.needs(r.Begun.Action)
	}
}
