package response

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// MaxBody is how many bytes of a response are read.
const MaxBody = 4 << 20

// ErrTooLarge is the error of a body that is longer than [MaxBody].
var ErrTooLarge = fmt.Errorf("the response is larger than %d bytes", MaxBody)

// byteOrderMark stands before JSON that some gateways have rewritten. RFC 8259 allows ignoring it, and encoding/json does
// not.
const byteOrderMark = "\xef\xbb\xbf"

// ReadBody reads at most MaxBody bytes, without a byte order mark. With an error it returns what it has read.
func ReadBody(resp *http.Response) ([]byte, error) {
	var b bytes.Buffer
	if n := resp.ContentLength; n > 0 && n <= MaxBody {
		b.Grow(int(n) + bytes.MinRead)
	}
	_, err := b.ReadFrom(io.LimitReader(resp.Body, MaxBody+1))
	if err == nil && b.Len() > MaxBody {
		err = ErrTooLarge
	}
	return bytes.TrimPrefix(b.Bytes(), []byte(byteOrderMark)), err
}

var errNoEnvelope = errors.New("there is no envelope around it")

// Read reads a response: the status that decides, and the body that belongs to it. With enveloped, an envelope was asked
// for, and both are those inside it. A gateway does not know envelopes, so a failure may come without one.
//
// A success whose body is Atlas's error has the status of that error. err is only about the body of a success: that it
// did not arrive as a whole, is longer than [MaxBody], or has no envelope although one was asked for. The body is then
// as much of it as there is.
func Read(resp *http.Response, enveloped bool) (status int, body []byte, err error) {
	status = resp.StatusCode
	body, err = ReadBody(resp)
	if enveloped && status != http.StatusNoContent { // a 204 has no body, so its status is all that Atlas can say
		inner, content, found := unwrap(body)
		switch {
		case found:
			status, body = inner, content
		case status/100 == 2:
			body, err = content, cmp.Or(err, errNoEnvelope)
		}
	}
	if status/100 == 2 {
		status = statusInside(status, body)
	}
	if status/100 != 2 {
		err = nil
	}
	return status, body, err
}

// unwrap returns the status and the content of an envelope. Of what is not a whole one it returns the beginning of the
// content where that is there, else the data, because the id of a job may be in it.
func unwrap(data []byte) (status int, content []byte, found bool) {
	var envelope struct {
		Status  json.RawMessage `json:"status"`
		Content json.RawMessage `json:"content"`
	}
	if json.Unmarshal(data, &envelope) != nil {
		return 0, startOfContent(data), false
	}
	status, found = statusNumber(envelope.Status)
	if !found && envelope.Content == nil {
		return 0, data, false
	}
	return status, envelope.Content, found
}

// startOfContent is what arrived of the content of an envelope.
func startOfContent(data []byte) []byte {
	members := json.NewDecoder(bytes.NewReader(data))
	if start, err := members.Token(); err != nil || start != json.Delim('{') {
		return data
	}
	for members.More() {
		name, err := members.Token()
		if err != nil {
			return data
		}
		if name == "content" {
			return bytes.TrimLeft(data[members.InputOffset():], ": \t\r\n")
		}
		var skipped json.RawMessage
		if members.Decode(&skipped) != nil {
			return data
		}
	}
	return data
}

// statusNumber reads a status of HTTP: a whole number from 100 to 599, or a string of its digits.
func statusNumber(raw json.RawMessage) (int, bool) {
	n, whole, ok := integer(raw)
	if text, quoted := stringOf(raw); quoted && strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	return int(n), ok && whole && n >= 100 && n <= 599
}

// statusInside returns the status of the Atlas error that the body of a success may be, else the one it was given.
//
// Such an error has a status from 400 as "error", and nearly always an "errorCode". Atlas may add members to its resources
// at any time. So what has an "_id" or a "linkToken" is a job or a token, which must not be lost, and what has a "status"
// is a connection unless there is an "errorCode" too. A list of projects is not an object.
func statusInside(status int, body []byte) int {
	if !bytes.Contains(body, []byte(`"error"`)) { // nearly every success is done here
		return status
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil || members["_id"] != nil || members["linkToken"] != nil {
		return status
	}
	if code, _ := stringOf(members["errorCode"]); code == "" && members["status"] != nil {
		return status
	}
	if inside, ok := statusNumber(members["error"]); ok && inside >= http.StatusBadRequest {
		return inside
	}
	return status
}
