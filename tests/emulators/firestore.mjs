// Starts the npm emulator of Firestore on the port given.
import { FirestoreServer } from "@firestore-emulator/server";

await new FirestoreServer().start(Number(process.argv[2]));
console.log("listening");
