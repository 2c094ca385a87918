package response

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
)

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
	switch {
	case !errors.As(err, &mismatch):
		return err
	case mismatch.Field == "":
		return fmt.Errorf("unexpected %s", mismatch.Value)
	default:
		return nil
	}
}

// List is a list of objects, which is read one entry at a time. An entry without members is an error: a short text of many
// such entries would need gigabytes.
type List[T any] []T

func (l *List[T]) UnmarshalJSON(data []byte) error {
	*l = List[T]{}
	entries := json.NewDecoder(bytes.NewReader(data))
	if start, err := entries.Token(); err != nil || start == nil {
		return err
	} else if start != json.Delim('[') {
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
