package response

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// Lenient reads JSON into result as encoding/json does, and one value of an unexpected type does not cost the others. A
// whole number may be written as 12.0 or "12", and a fraction is rounded down. A truth value may be a string, and a
// string may stand for a list of one. What makes no sense is left out.
//
// It is for what a server tells about something, not for what a user has written. It fails if the data is not JSON, or if
// it is not an object or a list where result is one.
func Lenient(data []byte, result any) error {
	err := json.Unmarshal(data, result)
	if err == nil || !json.Valid(data) {
		return err
	}
	target := reflect.ValueOf(result).Elem()
	target.SetZero() // encoding/json has filled a part of it
	if !set(target, data) {
		return err
	}
	return nil
}

// set reports whether raw is something that v can hold. If not, it leaves v as it is.
func set(v reflect.Value, raw json.RawMessage) bool {
	if fresh := reflect.New(v.Type()); json.Unmarshal(raw, fresh.Interface()) == nil {
		v.Set(fresh.Elem())
		return true
	}
	switch v.Kind() {
	case reflect.Struct:
		return setMembers(v, raw)
	case reflect.Slice:
		return setElements(v, raw)
	case reflect.Pointer:
		fresh := reflect.New(v.Type().Elem())
		if !set(fresh.Elem(), raw) {
			return false
		}
		v.Set(fresh)
		return true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, _, ok := integer(raw)
		if !ok || v.OverflowInt(n) {
			return false
		}
		v.SetInt(n)
		return true
	case reflect.Bool:
		text, _ := stringOf(raw)
		if !strings.EqualFold(text, "true") && !strings.EqualFold(text, "false") {
			return false
		}
		v.SetBool(strings.EqualFold(text, "true"))
		return true
	default:
		return false
	}
}

// setMembers reads an object into a struct.
func setMembers(v reflect.Value, raw json.RawMessage) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return false
	}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if member, ok := members[name]; ok && name != "" && name != "-" && field.IsExported() {
			set(v.Field(i), member) // left out where it makes no sense
		}
	}
	return true
}

// setElements reads a list, or one string in place of a list of strings.
func setElements(v reflect.Value, raw json.RawMessage) bool {
	kind := v.Type().Elem().Kind()
	var elements []json.RawMessage
	switch err := json.Unmarshal(raw, &elements); {
	case err != nil && kind == reflect.String:
		elements = []json.RawMessage{raw}
	case err != nil:
		return false
	}
	list := reflect.MakeSlice(v.Type(), 0, len(elements))
	for _, element := range elements {
		if one := reflect.New(v.Type().Elem()).Elem(); set(one, element) {
			list = reflect.Append(list, one)
		}
	}
	if list.Len() == 0 { // an empty list needs no leniency
		return false
	}
	v.Set(list)
	return true
}

// integer reads a number, or a string that holds one, rounded down. It also reports whether that is the number itself.
func integer(raw json.RawMessage) (n int64, whole, ok bool) {
	text, quoted := stringOf(raw)
	if !quoted {
		text = string(raw)
	}
	var number json.Number
	if text == "null" || json.Unmarshal([]byte(text), &number) != nil {
		return 0, false, false
	}
	if n, err := strconv.ParseInt(string(number), 10, 64); err == nil {
		return n, true, true
	}
	f, err := number.Float64()
	if err != nil || math.Abs(f) >= math.MaxInt64 {
		return 0, false, false
	}
	return int64(math.Floor(f)), f == math.Floor(f), true
}

func stringOf(raw json.RawMessage) (string, bool) {
	var text *string
	if json.Unmarshal(raw, &text) != nil || text == nil {
		return "", false
	}
	return *text, true
}
