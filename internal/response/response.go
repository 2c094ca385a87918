// Package response reads what a server sent: bodies within bounds, envelopes, Atlas's error, and the headers about
// waiting and rate limits.
//
// It knows the form of responses. It does not know what a response means for the call that it belongs to.
package response

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/livemigration/livemigration-go/internal/redact"
)

var (
	errNotJSON = errors.New("it is not JSON")
	errEmpty   = errors.New("it is empty")
)

// Unusable is a success whose body cannot be used.
type Unusable struct {
	Err error
	ID  string // of the job that was created, if the body shows it
}

func (e *Unusable) Error() string { return "unusable response: " + e.Err.Error() }

// Unwrap returns Err.
func (e *Unusable) Unwrap() error { return e.Err }

// CheckIgnored judges the body of a success of which the status says everything; err is what [Read] says about it. A body
// that is not JSON is not from Atlas, and neither is then the status. The status in an envelope arrives with the body. A
// job, which v1.0 sends, is a success whatever else is in it. An error of Atlas is none, and one could be in a body that
// broke off.
func CheckIgnored(body []byte, err error, enveloped bool) error {
	var inside Error
	switch {
	case err != nil && (enveloped || beginsAsJSON(body) && Member(body, "_id") == nil && !errors.Is(err, ErrTooLarge)):
		return err
	case mayBeError(body) && inside.readAtlasError(body, redact.New(nil)):
		return fmt.Errorf("it is an error: %s", cmp.Or(strings.Trim(inside.Code+": "+inside.Detail, ": "), "no code in it"))
	case len(bytes.TrimSpace(body)) == 0 || json.Valid(body) || err != nil && beginsAsJSON(body):
		return nil
	default:
		return errNotJSON
	}
}

// mayBeError is false for a job that only has members of its own with such names.
func mayBeError(body []byte) bool {
	status, _ := statusNumber(Member(body, "error"))
	return Member(body, "_id") == nil || status >= http.StatusBadRequest && StringMember(body, "errorCode") != ""
}

// WithExcerpt adds to err, which says why the body of a success is unusable, the beginning of a body that is not JSON: it
// tells which gateway or login page has sent it. Where a success is a secret, the body must be nil.
func WithExcerpt(err error, body []byte, r *redact.Redactor) error {
	if err == nil || beginsAsJSON(body) || json.Valid(body) {
		return err
	}
	excerpt := r.Excerpt(body)
	if excerpt == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, excerpt)
}

// beginsAsJSON reports whether a body is the beginning of an object or a list.
func beginsAsJSON(body []byte) bool {
	body = bytes.TrimSpace(body)
	return len(body) > 0 && (body[0] == '{' || body[0] == '[')
}

// StringMember is a [Member] that is a string, empty when it is none.
func StringMember(data []byte, name string) string {
	text, _ := stringOf(Member(data, name))
	return text
}

// Member finds a member of a JSON object of which perhaps only the beginning arrived. It is nil when the member is not
// there as a whole.
func Member(data []byte, name string) json.RawMessage {
	tokens := json.NewDecoder(bytes.NewReader(data))
	if start, err := tokens.Token(); err != nil || start != json.Delim('{') {
		return nil
	}
	for tokens.More() {
		key, err := tokens.Token()
		var value json.RawMessage
		if err != nil || tokens.Decode(&value) != nil {
			return nil
		}
		if key == name {
			return value
		}
	}
	return nil
}

// Decode reads JSON into result, as leniently as [Lenient] unless result reads itself. Its errors do not show names of Go
// types.
func Decode(data []byte, result any) error {
	var err error
	if self, ok := result.(json.Unmarshaler); ok { // it checks the syntax itself, so once is enough
		err = self.UnmarshalJSON(data)
	} else {
		err = Lenient(data, result)
	}
	var mismatch *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case len(bytes.TrimSpace(data)) == 0:
		return errEmpty
	case !beginsAsJSON(data) && !json.Valid(data):
		return errNotJSON
	case !errors.As(err, &mismatch):
		return err
	case mismatch.Field == "":
		return fmt.Errorf("unexpected %s", mismatch.Value)
	default:
		return fmt.Errorf("unexpected %s as %s", mismatch.Value, mismatch.Field)
	}
}
