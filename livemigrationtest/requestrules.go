package livemigrationtest

// linkTokenRules are the rules for the body of a new link-token.
func linkTokenRules(c *call) rule {
	if c.version == v1 {
		return object(required("accessListIps", list(1, 0, address)))
	}
	return object(optional("accessListIps", list(0, 0, address)))
}

// migrationRules are the rules for the body that starts a validation or a migration.
func migrationRules(c *call) rule {
	shape := migrationShapeV2()
	if c.version == v1 {
		shape = migrationShapeV1()
	}
	return func(r *report, path string, value any) {
		shape(r, path, value)
		body, _ := value.(map[string]any)
		source, _ := body["source"].(map[string]any)
		destination, _ := body["destination"].(map[string]any)
		checkAccess(r, source)
		checkProject(r, destination, c.scope)
		if c.version == v2 {
			checkPrivateLink(r, destination)
		}
	}
}

func migrationShapeV2() rule {
	return object(
		required("source", sourceShape()),
		required("destination", object(
			required("groupId", objectID),
			required("clusterName", text),
			required("hostnameSchemaType", oneOf("PUBLIC", "PRIVATE_LINK", "VPC_PEERING")),
			optional("privateLinkId", text),
		)),
		required("migrationHosts", list(1, 1, text)),
		optional("dropDestinationData", boolean),
		optional("sharding", object(
			required("createSupportingIndexes", boolean),
			required("shardingEntries", list(0, 0, object(
				required("database", text),
				required("collection", text),
				required("shardCollection", object(
					required("key", list(1, 0, shardKeyField)),
				)),
			))),
		)),
	)
}

func migrationShapeV1() rule {
	return object(
		required("source", sourceShape()),
		required("destination", object(
			required("groupId", objectID),
			required("clusterName", text),
		)),
		required("migrationHosts", list(1, 0, text)),
		required("dropEnabled", boolean),
	)
}

func sourceShape() rule {
	return object(
		required("groupId", objectID),
		required("clusterName", text),
		required("ssl", boolean),
		required("managedAuthentication", boolean),
		optional("username", text),
		optional("password", text),
		optional("caCertificatePath", text),
	)
}

// checkAccess checks that the source's credentials and certificate go with its flags.
func checkAccess(r *report, source map[string]any) {
	if managed, ok := source["managedAuthentication"].(bool); ok {
		for _, name := range []string{"username", "password"} {
			_, given := source[name]
			switch {
			case managed && given:
				r.conflict("source."+name, "must be left out when managedAuthentication is true")
			case !managed && !given:
				r.missing("source."+name, "is required when managedAuthentication is false")
			}
		}
	}
	if encrypted, ok := source["ssl"].(bool); ok && !encrypted {
		if _, given := source["caCertificatePath"]; given {
			r.conflict("source.caCertificatePath", "must be left out when ssl is false")
		}
	}
}

// checkProject checks that the body and the path name the same project.
func checkProject(r *report, destination map[string]any, project string) {
	if id, ok := destination["groupId"].(string); ok && isID(id) && id != project {
		r.conflict("destination.groupId", "must be the project of the path")
	}
}

func checkPrivateLink(r *report, destination map[string]any) {
	schema, ok := destination["hostnameSchemaType"].(string)
	if !ok {
		return
	}
	_, given := destination["privateLinkId"]
	switch {
	case schema == "PRIVATE_LINK" && !given:
		r.missing("destination.privateLinkId", "is required when hostnameSchemaType is PRIVATE_LINK")
	case schema != "PRIVATE_LINK" && given:
		r.conflict("destination.privateLinkId", "must be left out unless hostnameSchemaType is PRIVATE_LINK")
	}
}
