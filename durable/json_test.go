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
      "source": {
        "groupId": "6560f2a49c1b7e03d5bbbbbb",
        "clusterName": "from-a",
        "managedAuthentication": true,
        "ssl": true
      },
      "destination": {
        "groupId": "",
        "clusterName": "to-a"
      },
      "migrationHosts": ["vm-a.example.com"],
      "dropDestinationData": true
    },
    "exclusive": ["org-a"]
  },
  "state": "READY",
  "begun": "cut over",
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
  "readySince": "2026-03-01T10:00:00Z",
  "cutOverAt": "2026-03-01T11:00:00Z",
  "checkAt": "2026-03-01T10:00:00Z",
  "updated": "2026-03-01T11:00:00.000000001Z",
  "approved": ["cutover"],
  "granted": ["cutover"],
  "problem": "something",
  "problemSince": "2026-03-01T12:00:00Z",
  "events": [{"time": "2026-03-01T10:00:00Z", "text": "planned"}],
  "revision": 7
}`

func goldenRecord() Record {
	r := recordIn(StateReady)
	r.Plan = droppingPlan("a")
	r.FormerMigrationIDs = []livemigration.MigrationID{otherID}
	r.Migration = working(true)
	r.CutOverAt, r.Updated, r.ProblemSince = t1, t1.Add(1), t2
	r.Approved, r.Granted = []Gate{GateCutover}, []Gate{GateCutover}
	r.Begun, r.Problem = ActionCutover, "something"
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
	for _, name := range []string{"begun", "migrationId", "migration\"", "readySince", "cutOverAt", "problem", "approved", "password"} {
		assert.NotContains(t, string(written), name)
	}
}

func TestTimesSurviveJSON(t *testing.T) {
	r := NewRecord(planFor("a"), time.Now()).Begin(ActionValidate, time.Now())
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
		"an unknown plan field": {`"dropDestinationData": true`, `"dropDestinationDta": true`, "dropDestinationDta"},
		"an unknown state":      {`"READY"`, `"REDDY"`, "state"},
		"an unknown action":     {`"cut over"`, `"cutover"`, "begun"},
		"an unknown gate":       {`["cutover"]`, `["sesame"]`, "approved"},
		"a password":            {`"managedAuthentication": true`, `"username": "u", "password": "hunter2"`, "password must be empty"},
		"a name that is a path": {`"name": "a"`, `"name": "../a"`, "plan.name"},
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
}

func TestRecordInOneLine(t *testing.T) {
	assert.Equal(t, "a PLANNED", fmt.Sprint(recordIn(StatePlanned)))
	assert.Equal(t, "a READY, migration 6560f2a49c1b7e03d5dddddd: waits for the approval of the cutover; "+
		"the migration expires on 2026-03-06 10:00 UTC, and only the Atlas user interface can extend that", recordIn(StateReady).String())
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
