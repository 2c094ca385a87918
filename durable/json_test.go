package durable

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
)

// golden is the form in which records are stored. It does not change within a format.
const golden = `{
  "format": 1,
  "plan": {
    "name": "a",
    "projectId": "6560f2a49c1b7e03d5aaaaaa",
    "request": {
      "source": {"groupId": "6560f2a49c1b7e03d5bbbbbb", "clusterName": "from-a", "managedAuthentication": true, "ssl": true},
      "destination": {"groupId": "", "clusterName": "to-a"},
      "migrationHosts": ["vm-a.example.com"],
      "dropDestinationData": false
    },
    "exclusive": ["org-a"],
    "holdStart": true,
    "parallel": true
  },
  "state": "READY",
  "begun": {"action": "cut over", "at": "2026-03-01T11:00:00.000000001Z", "number": 7, "by": "run-1"},
  "unclear": {"action": "create", "at": "2026-03-01T10:00:00Z", "number": 3, "by": "run-0"},
  "validationId": "6560f2a49c1b7e03d5cccccc",
  "migrationId": "6560f2a49c1b7e03d5dddddd",
  "formerMigrationIds": ["6560f2a49c1b7e03d5eeeeee"],
  "migration": {
    "_id": "6560f2a49c1b7e03d5dddddd",
    "status": "WORKING",
    "readyForCutover": true,
    "migrationHosts": ["VM-a.example.com."],
    "lagTimeSeconds": 12
  },
  "seenAt": "2026-03-01T10:00:00Z",
  "approved": [
    {"gate": "start", "by": "ann", "at": "2026-03-01T10:00:00Z"},
    {"gate": "cutover", "by": "policy", "at": "2026-03-01T10:00:00Z", "until": "2026-03-01T11:00:00Z"}
  ],
  "problem": {
    "kind": "retrying", "text": "something", "since": "2026-03-01T11:00:00Z",
    "operation": "Migrations.Cutover", "status": 409, "code": "TOO_EARLY"
  },
  "plannedAt": "2026-03-01T10:00:00Z",
  "startedAt": "2026-03-01T10:00:00Z",
  "readyAt": "2026-03-01T10:00:00Z",
  "cutoverAt": "2026-03-01T11:00:00Z",
  "endedAt": "2026-03-01T11:00:00Z",
  "nextCheckAt": "2026-03-01T10:00:00Z",
  "updatedAt": "2026-03-01T11:00:00Z",
  "events": [{"time": "2026-03-01T10:00:00Z", "text": "planned"}],
  "revision": 7
}`

func goldenRecord() Record {
	lag := int64(12)
	r := recordIn(StateReady)
	r.Plan.HoldStart, r.Plan.Parallel = true, true
	r.Begun = &Intent{ActionCutover, t1.Add(1), 7, "run-1"}
	r.Unclear = &Intent{ActionCreate, t0, 3, "run-0"}
	r.FormerMigrationIDs = []livemigration.MigrationID{otherID}
	r.Migration.LagTimeSeconds = &lag
	r.Approved = []Approval{{GateStart, "ann", t0, time.Time{}}, {GateCutover, policy, t0, t1}}
	r.Problem = &Problem{ProblemRetrying, "something", t1, opCutover, 409, "TOO_EARLY"}
	r.CutoverAt, r.EndedAt, r.UpdatedAt = t1, t1, t1
	return r
}

func TestRecordJSONIsStable(t *testing.T) {
	written, err := json.Marshal(goldenRecord())
	require.NoError(t, err)
	assert.JSONEq(t, golden, string(written))
	var read Record
	require.NoError(t, json.Unmarshal([]byte(golden), &read))
	assert.Equal(t, goldenRecord(), read)
}

func TestEmptyFieldsAreNotWritten(t *testing.T) {
	written, err := json.Marshal(NewRecord(planFor("a"), t0))
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(written, &fields))
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	assert.ElementsMatch(t, []string{"format", "plan", "state", "plannedAt", "nextCheckAt", "updatedAt", "events", "revision"}, names)
	assert.NotContains(t, string(written), "password")
}

func TestTimesSurviveJSON(t *testing.T) {
	r := NewRecord(planFor("a"), time.Now()).Begin(ActionValidate, "run-1", time.Now())
	written, err := json.Marshal(r)
	require.NoError(t, err)
	var read Record
	require.NoError(t, json.Unmarshal(written, &read))
	assert.Equal(t, r, read)
}

func TestRejectedRecords(t *testing.T) {
	for name, test := range map[string]struct{ old, new, want string }{
		"a newer format":        {`"format": 1`, `"format": 2, "hold": true`, "newer version"},
		"no format":             {`"format": 1,`, ``, "no format"},
		"an unknown field":      {`"revision": 7`, `"revision": 7, "hold": true`, "hold"},
		"an unknown plan field": {`"dropDestinationData": false`, `"dropDestinationDta": true`, "dropDestinationDta"},
		"an unknown state":      {`"READY"`, `"REDDY"`, "state"},
		"another action":        {`"cut over"`, `"create"`, "begun.action"},
		"a look that has begun": {`"cut over"`, `"check"`, "begun.action"},
		"an unclear look":       {`"create"`, `"validate"`, "unclear.action"},
		"an unknown gate":       {`"gate": "cutover"`, `"gate": "sesame"`, "approved[1].gate"},
		"a gate twice":          {`"gate": "cutover"`, `"gate": "start"`, "approved[1].gate"},
		"an unknown kind":       {`"retrying"`, `"bored"`, "problem.kind"},
		"no validation ID":      {`"READY"`, `"VALIDATING"`, "begun"},
		"no migration ID":       {`"migrationId": "6560f2a49c1b7e03d5dddddd",`, ``, "migrationId"},
		"a password":            {`"managedAuthentication": true`, `"username": "u", "password": "hunter2"`, "password must be empty"},
		"a name that is a path": {`"name": "a"`, `"name": "../a"`, "plan.name"},
		"a negative revision":   {`"revision": 7`, `"revision": -1`, "revision"},
		"half a record":         {`"revision": 7`, ``, ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.ReplaceAll(golden, test.old, test.new)
			require.NotEqual(t, golden, text)
			read := recordIn(StatePlanned)
			err := json.Unmarshal([]byte(text), &read)
			require.Error(t, err)
			assert.Contains(t, err.Error(), test.want)
			assert.NotContains(t, err.Error(), "hunter2")
			assert.Equal(t, recordIn(StatePlanned), read, "nothing is half read")
		})
	}
	assert.ErrorContains(t, recordIn(StateValidating).with(func(r *Record) { r.ValidationID = "" }).Validate(), "validationId")
}

func TestPasswordIsNeverWritten(t *testing.T) {
	r := recordIn(StatePlanned)
	r.Plan.Request.Source.Password = "hunter2"
	written, err := json.Marshal(r)
	require.ErrorIs(t, err, livemigration.ErrInvalidRequest)
	assert.Empty(t, written)
	assert.ErrorIs(t, r.Validate(), livemigration.ErrInvalidRequest)
	assert.NotContains(t, err.Error(), "hunter2")
}

func TestResultJSON(t *testing.T) {
	r, res := begun(approvedCutover(), OutcomeNotDone)
	res.Migration, res.Hold, res.Failure = job(true), &Problem{Kind: ProblemWaitingForLag, Text: "x", Since: t1}, failure(opCutover, 409, "X")
	res.Failure.Since, res.ApprovedUntil, res.Wait = t1, t1, time.Second
	written, err := json.Marshal(res)
	require.NoError(t, err)
	var read Result
	require.NoError(t, json.Unmarshal(written, &read))
	assert.Equal(t, res, read)
	assert.Equal(t, r.Apply(res, t1), r.Apply(read, t1))
}

func TestRecordInOneLine(t *testing.T) {
	assert.Equal(t, "a PLANNED", fmt.Sprint(recordIn(StatePlanned)))
	assert.Equal(t, "a READY, migration 6560f2a49c1b7e03d5dddddd: waits for the approval of the cutover; "+
		"the migration expires on 2026-03-06 10:00 UTC, and only the Atlas UI can extend that", recordIn(StateReady).String())
}
