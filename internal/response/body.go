package response

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/livemigration/livemigration-go/internal/redact"
)

// AtlasError describes a response that is no success. Its texts are redacted, and each is one line.
type AtlasError struct {
	// Own: the body is Atlas's own JSON, an object whose "errorCode" is a text and whose "error" is the status. Without it,
	// the response may come from a gateway, and the other fields are only good for a message.
	Own bool
	// Code is empty, Reason the text of the status and Detail the beginning of the body, where the body does not say.
	Code, Reason, Detail string
	Parameters           []any
	Fields               []Field
}

// Field is a field of the request that Atlas rejects.
type Field struct {
	Name        string `json:"field"`
	Description string `json:"description"`
}

// Atlas reads the error in the body. It recognizes Atlas's JSON by its content, because gateways give it other media
// types. A member of an unexpected type does not hide the others. Of a redirect the detail names the host.
func (r *Received) Atlas(red *redact.Redactor) *AtlasError {
	e := &AtlasError{Reason: http.StatusText(r.Status)}
	var body struct {
		Error      json.RawMessage `json:"error"`
		Code       string          `json:"errorCode"`
		Reason     string          `json:"reason"`
		Detail     string          `json:"detail"`
		Parameters []any           `json:"parameters"`
		Bad        struct {
			Fields []Field `json:"fields"`
		} `json:"badRequestDetail"`
	}
	const most = 256 << 10 // no error of Atlas is longer
	err := Decode(r.Body[:min(len(r.Body), most)], &body)
	_, numbered := statusNumber(body.Error)
	if err == nil && (body.Code != "" || numbered) {
		e.Own = body.Code != "" && string(body.Error) == strconv.Itoa(r.Status)
		e.Code, e.Detail = red.Clean(body.Code), red.Clean(body.Detail)
		e.Reason = cmp.Or(red.Clean(body.Reason), e.Reason)
		e.Parameters, e.Fields = body.Parameters, body.Bad.Fields
		for i, parameter := range e.Parameters {
			switch parameter.(type) {
			case nil, bool, float64:
			default:
				e.Parameters[i] = red.Clean(fmt.Sprint(parameter))
			}
		}
		for i, f := range e.Fields {
			e.Fields[i] = Field{red.Clean(f.Name), red.Clean(f.Description)}
		}
	} else if !r.Secret {
		e.Detail = red.Excerpt(r.Body)
	}
	location := r.Header.Get("Location")
	if target, err := url.Parse(location); r.Status/100 == 3 && location != "" && err == nil {
		host := red.Clean(cmp.Or(target.Host, "the same host"))
		e.Detail = "redirect to " + host + " rejected: check the base URL; is a proxy or maintenance page in between?"
	}
	return e
}

// Decode reads the body of a success into a pointer, as the function [Decode] does. With nil, the success has no result:
// its body may be empty, and anything but an error is ignored. The error says what is wrong with the response.
func (r *Received) Decode(into any, red *redact.Redactor) error {
	err, body := r.Err, bytes.TrimSpace(r.Body)
	empty := len(body) == 0
	switch {
	case !empty && body[0] != '{' && body[0] != '[' && string(body) != "null", // the content of an envelope without any
		empty && err == nil && into != nil:
		return errors.New(r.notJSON(red))
	case into == nil && errors.Is(err, ErrTooLarge): // no error of Atlas is so long
		return nil
	case err != nil || empty:
	case into != nil:
		err = Decode(body, into)
	default:
		var found struct {
			ID     json.RawMessage `json:"_id"` // v1.0 sends a job, which may have other members with these names
			Code   string          `json:"errorCode"`
			Detail string          `json:"detail"`
		}
		if err = Decode(body, &found); err == nil && found.Code != "" && found.ID == nil {
			err = errors.New(red.Clean("error " + found.Code + ": " + found.Detail))
		}
	}
	if err != nil {
		return fmt.Errorf("unexpected response: %d: %w", r.Status, err)
	}
	return nil
}

// notJSON is the message for a success whose body is not JSON.
func (r *Received) notJSON(red *redact.Redactor) string {
	found := strconv.Itoa(r.Status)
	if media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); media != "" {
		found += " " + red.Clean(media)
	}
	if excerpt := red.Excerpt(r.Body); excerpt == "" {
		found += " (empty)"
	} else if !r.Secret {
		found += fmt.Sprintf(" (%q)", excerpt)
	}
	return "unexpected response: " + found + " instead of JSON; is a proxy or login page in between?"
}

// Decode reads JSON into a pointer. A value of an unexpected type is left out and does not cost the rest, unless it is the
// whole: an object where a list is expected is an error. Errors do not show names of Go types.
//
// An UnmarshalJSON method that fails ends the decoding, so the methods of [Number] and [Strings] never fail.
func Decode(data []byte, into any) error {
	err := json.Unmarshal(data, into)
	if err == nil {
		return nil
	}
	var mismatch *json.UnmarshalTypeError
	if !errors.As(err, &mismatch) {
		return err
	}
	if mismatch.Field == "" {
		return fmt.Errorf("unexpected %s", mismatch.Value)
	}
	return nil
}

// List is a list of objects, which is read one entry at a time. An entry without members is an error: a short text of many
// such entries would need gigabytes.
type List[T any] []T

func (l *List[T]) UnmarshalJSON(data []byte) error {
	*l = List[T]{}
	entries := json.NewDecoder(bytes.NewReader(data))
	switch start, _ := entries.Token(); start {
	case nil:
		return nil
	case json.Delim('['):
	default:
		return errors.New("unexpected value instead of a list")
	}
	var raw json.RawMessage // each entry uses the same memory
	for i := 0; entries.More(); i++ {
		if err := entries.Decode(&raw); err != nil {
			return err
		}
		if raw[0] != '{' || len(bytes.TrimSpace(raw[1:len(raw)-1])) == 0 {
			return fmt.Errorf("entry %d has no members", i)
		}
		var entry T
		if err := Decode(raw, &entry); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		*l = append(*l, entry)
	}
	return nil
}

// Number is a whole number in a response. Reading it never fails: it is nil where it is absent, null, too large or no
// number. A fraction is rounded down.
type Number struct{ Value *int64 }

func (n *Number) UnmarshalJSON(data []byte) error {
	n.Value = nil
	if i, err := strconv.ParseInt(string(data), 10, 64); err == nil {
		n.Value = &i
	} else if f, err := strconv.ParseFloat(string(data), 64); err == nil && math.Abs(f) < math.MaxInt64 {
		i = int64(math.Floor(f))
		n.Value = &i
	}
	return nil
}

// Strings is a list of texts in a response, where one text may stand for a list of one. Reading it never fails: other
// values are left out.
type Strings []string

func (s *Strings) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		data = fmt.Appendf(nil, "[%s]", data)
	}
	var many []string
	_ = json.Unmarshal(data, &many) // a value of another type becomes an empty text
	*s = slices.DeleteFunc(many, func(text string) bool { return text == "" })
	return nil
}

var jobID = regexp.MustCompile(`^\s*(?:\{[^{}]*"content"\s*:\s*)?\{[^{}]*"_id"\s*:\s*("(?:[^"\\]|\\.)*")`)

// JobID returns the "_id" in the beginning of a JSON object, or of the content of an envelope. It is empty if there is none,
// or if another object is before it, so that it could be the ID of something else.
func JobID(data []byte) (id string) {
	if m := jobID.FindSubmatch(data); m != nil {
		_ = json.Unmarshal(m[1], &id) // leaves it empty for a text that is no JSON
	}
	return id
}
