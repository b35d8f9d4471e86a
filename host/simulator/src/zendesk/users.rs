//! Users, as far as an integration needs them.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::zendesk::error::ZendeskError;
use crate::zendesk::world::{User, World};

fn text(user: &Map<String, Value>, name: &str) -> Option<String> {
    match user.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl World {
    /// `POST /users/create_or_update`: found again by external id, then by e-mail; never by phone. Gives the id and
    /// whether the user is new.
    pub(crate) fn create_or_update_user(&mut self, user: &Map<String, Value>) -> Result<(u64, bool), ZendeskError> {
        let (external_id, email) = (text(user, "external_id"), text(user, "email"));
        let found = self
            .users
            .values()
            .find(|other| external_id.is_some() && other.external_id == external_id)
            .or_else(|| self.users.values().find(|other| email.is_some() && other.email == email))
            .map(|other| other.id);
        match found {
            Some(id) => self.update_user(id, user).map(|()| (id, false)),
            None => self.create_user(user).map(|id| (id, true)),
        }
    }

    pub(crate) fn create_user(&mut self, user: &Map<String, Value>) -> Result<u64, ZendeskError> {
        let Some(name) = text(user, "name") else {
            return Err(ZendeskError::invalid("name", "Name: is too short (minimum one character)", "BlankValue"));
        };
        let email = text(user, "email");
        if email.as_deref().is_some_and(|email| !email.contains('@')) {
            return Err(ZendeskError::invalid("email", "Email: is not properly formatted", "InvalidFormat"));
        }
        let taken = |other: &User| {
            (email.is_some() && other.email == email)
                || (other.external_id.is_some() && other.external_id == text(user, "external_id"))
        };
        if self.users.values().any(taken) {
            return Err(ZendeskError::invalid(
                "email",
                "Email or external id is already being used by another user",
                "DuplicateValue",
            ));
        }
        let (id, now) = (self.next_id(), Timestamp::now());
        let phone = text(user, "phone").or_else(|| identity_phone(user));
        let external_id = text(user, "external_id");
        let role = match text(user, "role").as_deref() {
            Some("agent") => "agent",
            Some("admin") => "admin",
            _ => "end-user",
        };
        self.users.insert(id, User { id, name, email, phone, external_id, role, created_at: now, updated_at: now });
        Ok(id)
    }

    pub(crate) fn update_user(&mut self, id: u64, user: &Map<String, Value>) -> Result<(), ZendeskError> {
        let found = self.users.get_mut(&id).ok_or_else(ZendeskError::not_found)?;
        if let Some(name) = text(user, "name") {
            found.name = name;
        }
        for (place, value) in [
            (&mut found.email, text(user, "email")),
            (&mut found.phone, text(user, "phone")),
            (&mut found.external_id, text(user, "external_id")),
        ] {
            if value.is_some() {
                *place = value;
            }
        }
        found.updated_at = Timestamp::now();
        Ok(())
    }
}

fn identity_phone(user: &Map<String, Value>) -> Option<String> {
    user.get("identities")?.as_array()?.iter().find_map(|identity| {
        let kind = identity.get("type")?.as_str()?;
        (kind == "phone_number" || kind == "phone").then(|| identity.get("value")?.as_str().map(str::to_owned))?
    })
}
