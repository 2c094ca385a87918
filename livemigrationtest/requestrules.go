package livemigrationtest

// body takes an object with these properties. The two that only responses have are ignored.
func body(properties ...property) rule {
	return object(append([]property{ignored("_id"), ignored("links")}, properties...)...)
}

// linkTokenRules are the rules for the body of a new link-token.
func linkTokenRules(c *call) rule {
	if c.version == v1 {
		return body(required("accessListIps", list(1, 0, address)))
	}
	return body(optional("accessListIps", list(0, 0, address)))
}

// migrationLinkRules are the rules for the body that connects a source organization.
func migrationLinkRules(*call) rule { return body(required("linkToken", text)) }

// migrationRules are the rules for the body that starts a validation or a migration.
func migrationRules(c *call) rule {
	shape := migrationShape(c)
	return func(r *report, path string, value any) {
		shape(r, path, value)
		body, _ := value.(map[string]any)
		source, _ := body["source"].(map[string]any)
		destination, _ := body["destination"].(map[string]any)
		checkUser(r, source)
		checkCertificate(r, source)
		checkProject(r, destination, c.scope)
		checkPrivateLink(r, destination)
	}
}

// migrationShape differs in three places. v1.0 takes what its two documents say: the older one has no
// hostnameSchemaType and several hosts, the newer one requires the former and takes one host.
func migrationShape(c *call) rule {
	schema, hosts, drop := required, list(1, 1, text), optional("dropDestinationData", boolean)
	if c.version == v1 {
		schema, hosts = optional, list(1, 0, text)
	}
	if c.version == v1 || c.date == date2023 {
		drop = required("dropEnabled", boolean)
	}
	return body(
		required("source", sourceShape()),
		required("destination", object(
			required("groupId", objectID),
			required("clusterName", text),
			schema("hostnameSchemaType", oneOf("PUBLIC", "PRIVATE_LINK", "VPC_PEERING")),
			nullable("privateLinkId", text),
		)),
		required("migrationHosts", hosts),
		drop,
		nullable("sharding", shardingShape()),
	)
}

func sourceShape() rule {
	return object(
		required("groupId", objectID),
		required("clusterName", text),
		required("ssl", boolean),
		required("managedAuthentication", boolean),
		blankable("username", text),
		blankable("password", text),
		blankable("caCertificatePath", text),
	)
}

func shardingShape() rule {
	return object(
		required("createSupportingIndexes", boolean),
		required("shardingEntries", distinct(list(0, 0, object(
			required("database", text),
			required("collection", text),
			required("shardCollection", object(
				required("key", distinct(list(1, 0, shardKeyField))),
			)),
		)))),
	)
}

// checkUser checks that the user and the password of the source come together, and not with managed authentication. A
// source without authentication has neither.
func checkUser(r *report, source map[string]any) {
	managed := source["managedAuthentication"] == true
	user, password := !isBlank(source["username"]), !isBlank(source["password"])
	switch {
	case managed && user:
		r.conflict("source.username", "must be left out when managedAuthentication is true")
	case password && !user && !managed:
		r.missing("source.username", "is required with a password")
	}
	switch {
	case managed && password:
		r.conflict("source.password", "must be left out when managedAuthentication is true")
	case user && !password && !managed:
		r.missing("source.password", "is required with a username")
	}
}

func checkCertificate(r *report, source map[string]any) {
	if source["ssl"] == false && !isBlank(source["caCertificatePath"]) {
		r.conflict("source.caCertificatePath", "must be left out when ssl is false")
	}
}

// checkProject checks that the body and the path name the same project.
func checkProject(r *report, destination map[string]any, project string) {
	if id, ok := destination["groupId"].(string); ok && isID(id) && id != project {
		r.conflict("destination.groupId", "must be the project of the path")
	}
}

// checkPrivateLink reports nothing where hostnameSchemaType itself is malformed.
func checkPrivateLink(r *report, destination map[string]any) {
	schema, isText := destination["hostnameSchemaType"].(string)
	if _, given := destination["hostnameSchemaType"]; given && !isText {
		return
	}
	linked := destination["privateLinkId"] != nil
	switch {
	case schema == "PRIVATE_LINK" && !linked:
		r.missing("destination.privateLinkId", "is required when hostnameSchemaType is PRIVATE_LINK")
	case schema != "PRIVATE_LINK" && linked:
		r.conflict("destination.privateLinkId", "must be left out unless hostnameSchemaType is PRIVATE_LINK")
	}
}
