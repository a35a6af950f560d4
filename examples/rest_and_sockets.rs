//! HTTP and sockets in one App: a POST to `/jobs/7` is sent to the sockets that watch job 7.
//!
//! ```sh
//! cargo run --example rest_and_sockets
//! curl -d '{"text":"half done"}' -H 'Content-Type: application/json' localhost:3000/jobs/7
//! ```
//! ```js
//! const socket = io("http://localhost:3000");
//! socket.on("progress", console.log);
//! socket.emit("watch", 7);
//! ```

use actix_socketio::{Data, EmitError, RoomError, Socket, SocketIo};
use actix_web::error::ErrorInternalServerError;
use actix_web::web::{self, Json, Path, ServiceConfig};
use actix_web::{App, HttpResponse};
use serde::{Deserialize, Serialize};

/// The progress of a job: the body of a POST, and the data of an event.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Progress {
    text: String,
}

/// Adds the socket to the room of a job.
async fn watch(socket: Socket, Data(job): Data<u32>) -> Result<(), RoomError> {
    socket.join(room(job)).await
}

/// `POST /jobs/{job}`: responds with the number of sockets that watch the job.
async fn report(
    io: web::Data<SocketIo>,
    job: Path<u32>,
    progress: Json<Progress>,
) -> actix_web::Result<HttpResponse> {
    let watchers = io.to(room(*job));
    let count = watchers.count();
    let sent: Result<(), EmitError> = watchers.emit("progress", (*job, &*progress)).await;
    sent.map_err(ErrorInternalServerError)?;
    Ok(HttpResponse::Accepted().json(count))
}

fn room(job: u32) -> String {
    format!("job {job}")
}

/// The pages, with a handle on the Socket.IO server.
fn pages(io: &SocketIo) -> impl Fn(&mut ServiceConfig) + Clone + use<> {
    let io = web::Data::new(io.clone());
    move |app| {
        app.app_data(io.clone())
            .route("/jobs/{job}", web::post().to(report));
    }
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    env_logger::init();
    let io = SocketIo::builder().start()?;
    io.of("/").on("watch", watch);
    let pages = pages(&io);
    let app = move || App::new().configure(pages.clone());
    io.serve(app).bind(("127.0.0.1", 3000))?.run().await
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::error::Error;
    use std::rc::Rc;

    use actix_socketio::testing::TestClient;
    use actix_web::test::{TestRequest, call_and_read_body_json, init_service};

    use super::*;

    #[actix_web::test]
    async fn what_is_posted_reaches_those_who_watch() -> Result<(), Box<dyn Error>> {
        let io = SocketIo::builder().start()?;
        io.of("/").on("watch", watch);
        let app = App::new().configure(io.routes()).configure(pages(&io));
        let app = Rc::new(init_service(app).await);
        let mut clients = Vec::new();
        for job in [7, 8] {
            let client = TestClient::builder(&io)
                .service(Rc::clone(&app))
                .connect()
                .await?;
            client.call::<()>("watch", job).await?;
            clients.push(client);
        }
        let text = "half done".to_owned();
        let request = TestRequest::post()
            .uri("/jobs/7")
            .set_json(Progress { text });
        let watchers: usize = call_and_read_body_json(&*app, request.to_request()).await;
        assert_eq!(watchers, 1);
        let received = clients[0].received().await;
        let (job, progress): (u32, Progress) = received[0].read()?;
        assert_eq!((job, progress.text.as_str()), (7, "half done"));
        assert!(clients[1].received().await.is_empty());
        Ok(())
    }
}
