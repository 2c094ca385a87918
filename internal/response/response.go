// Package response reads what a server sent: bodies within bounds, envelopes, Atlas's error, and the headers about
// waiting and rate limits.
//
// It knows the form of responses. It does not know what a response means for the call that it belongs to.
package response

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// CheckIgnored judges the body of a success of which the status says everything; err is what ended it too early. A body
// that is not JSON is not from Atlas, and neither is then the status. The status in an envelope arrives with the body.
func CheckIgnored(body []byte, err error, enveloped bool) error {
	body = bytes.TrimSpace(body)
	switch {
	case err != nil && enveloped:
		return err
	case len(body) == 0 || json.Valid(body) || err != nil && (body[0] == '{' || body[0] == '['):
		return nil
	default:
		return errors.New("it is not JSON")
	}
}

// StringMember finds a member of a JSON object of which perhaps only the beginning arrived. It is empty when the member
// is not there as a whole.
func StringMember(data []byte, name string) string {
	tokens := json.NewDecoder(bytes.NewReader(data))
	if start, err := tokens.Token(); err != nil || start != json.Delim('{') {
		return ""
	}
	for tokens.More() {
		key, err := tokens.Token()
		if err != nil {
			return ""
		}
		var value any
		if tokens.Decode(&value) != nil {
			return ""
		}
		if text, ok := value.(string); ok && key == name {
			return text
		}
	}
	return ""
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
	if !errors.As(err, &mismatch) {
		return err
	}
	if mismatch.Field == "" {
		return fmt.Errorf("unexpected %s", mismatch.Value)
	}
	return fmt.Errorf("unexpected %s as %s", mismatch.Value, mismatch.Field)
}
