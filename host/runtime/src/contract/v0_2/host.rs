//! What version 0.2 lets a plugin import of ours, over the capabilities.

use wasmtime::component::Resource;

use super::bindings::patchbay::plugin::{blobs, context, types, uploads};
use crate::capabilities::blobs::Blob;
use crate::capabilities::logging::Level;
use crate::capabilities::uploads::{Part, Upload};
use crate::capabilities::verify;
use crate::state::State;

impl types::Host for State {}

impl context::Host for State {
    async fn attempt(&mut self) -> wasmtime::Result<u32> {
        Ok(self.attempt)
    }

    async fn verify(
        &mut self,
        secret: String,
        algorithm: String,
        message: Vec<u8>,
        signature: Vec<u8>,
    ) -> wasmtime::Result<Result<bool, String>> {
        Ok(verify::verify(&self.facts, &secret, &algorithm, &message, &signature))
    }

    async fn log(&mut self, level: context::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            context::Level::Debug => Level::Debug,
            context::Level::Info => Level::Info,
            context::Level::Warn => Level::Warn,
            context::Level::Error => Level::Error,
        };
        self.log.line(&self.facts, level, &message);
        Ok(())
    }
}

impl blobs::Host for State {
    async fn open(&mut self, media: String) -> wasmtime::Result<Result<Resource<Blob>, String>> {
        match Blob::open(&self.facts, &media).await {
            Ok(blob) => Ok(Ok(self.table.push(blob)?)),
            Err(why) => Ok(Err(why)),
        }
    }
}

impl blobs::HostBlob for State {
    async fn size(&mut self, blob: Resource<Blob>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&blob)?.size())
    }

    async fn read(
        &mut self,
        blob: Resource<Blob>,
        offset: u64,
        length: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, String>> {
        Ok(self.table.get(&blob)?.read(offset, length).await)
    }

    async fn drop(&mut self, blob: Resource<Blob>) -> wasmtime::Result<()> {
        self.table.delete(blob)?;
        Ok(())
    }
}

impl uploads::Host for State {
    async fn send(&mut self, request: uploads::Request) -> wasmtime::Result<Result<uploads::Response, String>> {
        let part = |part: uploads::Part| match part {
            uploads::Part::Bytes(bytes) => Part::Bytes(bytes.into()),
            uploads::Part::Media(media) => Part::Media(media),
            uploads::Part::MediaBase64(media) => Part::MediaBase64(media),
        };
        let upload = Upload {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: request.body.into_iter().map(part).collect(),
        };
        let answer = upload.send(&self.facts, &mut self.hooks.outgoing).await;
        Ok(answer.map(|answer| uploads::Response {
            status: answer.status,
            headers: answer.headers,
            body: answer.body.into(),
        }))
    }
}
